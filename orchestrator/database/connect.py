"""Opens results.db: for the collector to write, for everybody else to read."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError

from byol_core.files import create_file
from orchestrator.database import schema
from orchestrator.errors import OldSchemaError, StoreError, UsageError
from orchestrator.machine.filesystem import filesystem_of

_BUSY_TIMEOUT_S = 30
_BACKENDS = ("sqlite", "postgresql")
_REMEDY = {
    "sqlite": "`sweep rebuild` makes it again from the runs, or choose another --db",
    "postgresql": "see whether the server is there and lets you in, or choose another --db",
}
_ALLOWED = "sqlite:////data/results.db, postgresql+psycopg://user@host/name"
_MARKS = {"meta": {"key", "value"}, "runs": {"run_id", "root"}}
"""Columns by which a database of ours is known, of whatever version."""

_LOCAL = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-65536")
"""A lost tail of the index costs nothing, since it is collected again: NORMAL keeps it consistent
without more syncs.
"""
_SHARED = ("journal_mode=DELETE", "synchronous=FULL", "foreign_keys=ON")
"""WAL needs memory that all readers share, which machines do not (sqlite.org/wal.html)."""


def open_database(where: str) -> Engine:
    """Open a database for writing, and create its tables where it is new.

    Args:
        where: a path or a SQLAlchemy URL.

    Raises:
        OldSchemaError: an older version of this program made it; `rebuild` makes it again.
        UsageError: `where` is neither a path nor a URL of a database that this program can use.
        StoreError: it is no database of ours, of a newer version, or cannot be written.
    """
    engine = connect_unchecked(where)
    try:
        if version_in(where) is None:
            with writing(engine) as connection:
                if (
                    schema_version(connection, where) is None
                ):  # another process may have been faster
                    create_tables(connection)
        with engine.connect() as connection:
            _check_version(schema_version(connection, where), where)
    except DatabaseError as error:
        raise StoreError(
            f"{named(where)}: {cause(error)}; {_REMEDY[engine.dialect.name]}"
        ) from None
    return engine


def version_in(where: str) -> str | None:
    """Return what `schema_version` does, of a database as it lies there: not even its journal mode
    is set.
    """
    engine = _engine(where)
    try:
        with engine.connect() as connection:
            return schema_version(connection, where)
    finally:
        engine.dispose()


def connect_unchecked(where: str) -> Engine:
    """Open a database for writing whatever it holds.

    Raises:
        UsageError: `where` is neither a path nor a URL of a database that this program can use.
    """
    engine = _engine(where)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _pragmas(engine.url))
        event.listen(engine, "begin", _begin)
    return engine


def _engine(where: str) -> Engine:
    try:
        url = (
            make_url(where)
            if "://" in where
            else URL.create("sqlite", database=str(Path(where).absolute()))
        )
        if not where or url.get_backend_name() not in _BACKENDS:
            raise UsageError(
                f"--db {named(where)!r}: no such database is supported; allowed: a path, {_ALLOWED}"
            )
        engine = create_engine(
            url,
            connect_args={"timeout": _BUSY_TIMEOUT_S} if url.get_backend_name() == "sqlite" else {},
        )
    except ArgumentError:
        raise UsageError(
            f"--db {where!r} is neither a path nor a URL; allowed: a path, {_ALLOWED}"
        ) from None
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--db {named(where)!r} needs the Python package {error.name!r}, which is not installed; "
            f"allowed: a path, {_ALLOWED}: pip install 'byol-sweeps[postgres]'"
        ) from None
    if engine.dialect.name == "sqlite":
        _make_file(url)
    return engine


def named(where: str) -> str:
    """Return a path or URL as it may be shown: without the password."""
    try:
        return make_url(where).render_as_string() if "://" in where else where
    except ArgumentError:
        return where


def cause(error: DatabaseError) -> str:
    """Return what the database said, on one line."""
    return str(error.orig).strip().partition("\n")[0]


def schema_version(connection: Connection, where: str) -> str | None:
    """Return the version of our tables in a database; None where it has no tables at all.

    Raises:
        StoreError: its tables are another program's, which nobody wants mixed with ours or dropped
            by a rebuild.
    """
    names = inspect(connection).get_table_names()
    ours = (
        all(columns <= _columns(connection, name) for name, columns in _MARKS.items())
        if "meta" in names
        else False
    )
    query = select(schema.meta.c.value).where(schema.meta.c.key == "schema_version")
    found: str | None = connection.scalar(query) if ours else None
    if names and found is None:
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        raise StoreError(
            f"{named(where)}: holds the tables of another program ({shown}); choose another --db"
        )
    return found


def _columns(connection: Connection, table: str) -> set[str]:
    there = inspect(connection).has_table(table)
    return {column["name"] for column in inspect(connection).get_columns(table)} if there else set()


@contextmanager
def writing(engine: Engine, foreign_keys: bool = True) -> Iterator[Connection]:
    """Hold one transaction that writes, from its first moment: what it reads cannot change under
    it.

    Raises:
        OperationalError: somebody else writes, longer than the time limit.
    """
    with engine.connect().execution_options(begins_with="BEGIN IMMEDIATE") as connection:
        if engine.dialect.name == "sqlite" and not foreign_keys:
            connection.connection.execute("PRAGMA foreign_keys=OFF")
        with connection.begin():
            yield connection


def create_tables(connection: Connection) -> None:
    """Create all tables and note the schema's version."""
    schema.metadata.create_all(connection)
    connection.execute(insert(schema.meta).values(key="schema_version", value=str(schema.VERSION)))


def shared_warning(where: str) -> str | None:
    """Say what is at risk where the database lies on a network file system; None where it does not,
    or is no file.
    """
    kind = filesystem_of(Path(where))
    if "://" in where or not kind.is_network:
        return None
    return (
        f"{where} lies on a network file system ({kind.kind}): SQLite's locks are not reliable "
        f"there, so it is used without "
        "write-ahead log, and more slowly; use it from one machine at a time, or set --db to a "
        "local disk. Results are safe: "
        "it can be made again from the runs"
    )


def _pragmas(url: URL) -> Callable[[Any, Any], None]:
    pragmas = _SHARED if url.database and filesystem_of(Path(url.database)).is_network else _LOCAL

    def set_pragmas(connection: Any, _: Any) -> None:
        connection.isolation_level = (
            None  # sqlite3 would begin late, and commit before it drops a table
        )
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        if url.database:
            _hand_down_group(Path(url.database))

    return set_pragmas


def _make_file(url: URL) -> None:
    """Make a new database's file before SQLite does, which would leave its mode to the umask."""
    if url.database and not Path(url.database).exists():
        with suppress(OSError):  # SQLite will meet the same, and say so
            os.close(create_file(Path(url.database).resolve(), os.O_RDWR))


def _hand_down_group(file: Path) -> None:
    """Give the files beside a database its group; SQLite gives them its mode, but leaves the group
    to the folder.
    """
    for suffix in ("-wal", "-shm"):
        with suppress(OSError):  # they need not be there, and may be another user's
            os.chown(f"{file}{suffix}", -1, file.stat().st_gid)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begins_with", "BEGIN"))


def _check_version(found: str | None, where: str) -> None:
    if found is not None and found.isdecimal() and int(found) < schema.VERSION:
        raise OldSchemaError(
            f"{named(where)}: schema version {found}, this program writes version {schema.VERSION}; run: sweep rebuild"
        )
    if found != str(schema.VERSION):
        raise StoreError(
            f"{named(where)}: schema version {found}, this program writes version {schema.VERSION}; "
            "use the version of the program that made it, or choose another --db: it can be made again from the runs"
        )
