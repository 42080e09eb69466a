"""Opens results.db: for the collector to write, for everybody else to read."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.exc import ArgumentError, DatabaseError

from byol_core.files import create_file
from orchestrator.database import schema
from orchestrator.database.address import (
    AddressError,
    cause,
    is_busy,
    is_full,
    is_url,
    named,
    parse,
    read_only_url,
)
from orchestrator.database.views import create_views
from orchestrator.errors import (
    BusyError,
    NewSchemaError,
    OldSchemaError,
    StoreError,
    UsageError,
)
from orchestrator.machine.filesystem import filesystem_of

_BUSY_TIMEOUT_S = 30
_READ_TIMEOUT_S = 1
_BACKENDS = ("sqlite", "postgresql")
_REMEDY = {
    "sqlite": "`sweep rebuild` makes it again from the runs, or choose another --db",
    "postgresql": "see whether the server is there and lets you in, or choose another --db",
}
_NO_SPACE = "make room there, or choose another --db: it is made from the runs"
_ALLOWED = "sqlite:////data/results.db, postgresql+psycopg://user@host/name"
_MARKS = {"meta": {"key", "value"}, "runs": {"run_id", "root"}}
"""Columns by which a database of ours is known, of whatever version."""

_LOCAL = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-65536")
"""NORMAL keeps the index consistent; a lost tail of it costs nothing, being collected again."""
_SHARED = ("journal_mode=DELETE", "synchronous=FULL", "foreign_keys=ON")
"""WAL needs memory that all readers share, which machines do not (sqlite.org/wal.html)."""


def open_database(address: str, patience_s: float = _BUSY_TIMEOUT_S) -> Engine:
    """Open a database for writing, and create its tables where it is new.

    Args:
        address: a path or a SQLAlchemy URL.
        patience_s: how long to wait for another program that holds a SQLite database.

    Raises:
        BusyError: another program holds it longer than that.
        OldSchemaError: an older version of this program made it; `rebuild` makes it again.
        UsageError: it is neither a path nor a URL of a database that this program can use.
        StoreError: it is no database of ours, of a newer version, or cannot be written.
    """
    engine = connect_unchecked(address, patience_s)
    try:
        if version_in(address, patience_s) is None:
            with writing(engine) as connection:
                # Another process may have been faster.
                if schema_version(connection, address) is None:
                    create_tables(connection)
        with engine.connect() as connection:
            _check_version(schema_version(connection, address), address)
    except DatabaseError as error:
        if is_busy(error):
            raise BusyError(
                f"{named(address)}: another program holds it ({cause(error)}); try again when that "
                "has ended, or choose another --db: it is made from the runs"
            ) from None
        remedy = _NO_SPACE if is_full(error) else _REMEDY[engine.dialect.name]
        raise StoreError(f"{named(address)}: {cause(error)}; {remedy}") from None
    return engine


def open_to_read(address: str) -> Engine:
    """Open a SQLite database that cannot be written.

    Raises:
        StoreError: it is missing, of another version, or cannot even be read.
    """
    file = Path(address).absolute()
    if is_url(address) or not file.is_file():
        raise StoreError(f"{named(address)}: there is no such database that can be read")
    engine = create_engine(read_only_url(file), connect_args={"timeout": _READ_TIMEOUT_S})
    try:
        with engine.connect() as connection:
            _check_version(schema_version(connection, address), address)
    except DatabaseError as error:
        raise StoreError(
            f"{named(address)}: cannot be read: {cause(error)}; choose another --db"
        ) from None
    return engine


def version_in(address: str, patience_s: float = _BUSY_TIMEOUT_S) -> str | None:
    """Return the `schema_version` of a database, and leave even its journal mode as it is."""
    engine = _engine(address, patience_s)
    try:
        with engine.connect() as connection:
            return schema_version(connection, address)
    finally:
        engine.dispose()


def connect_unchecked(address: str, patience_s: float = _BUSY_TIMEOUT_S) -> Engine:
    """Open a database for writing whatever it holds.

    Raises:
        UsageError: the address is neither a path nor a URL of a database that this program can use.
    """
    engine = _engine(address, patience_s)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _pragmas(engine.url))
        event.listen(engine, "begin", _begin)
    return engine


def _engine(address: str, patience_s: float) -> Engine:
    """Return an engine that sets nothing yet; the file of a new SQLite database is made."""
    try:
        url = parse(address)
        backend = url.get_backend_name()
        if not address or backend not in _BACKENDS:
            raise UsageError(
                f"--db {named(address)!r}: no such database is supported; "
                f"allowed: a path, {_ALLOWED}"
            )
        connect_args = {"timeout": patience_s} if backend == "sqlite" else {}
        engine = create_engine(url, connect_args=connect_args)
    except (AddressError, ArgumentError):
        raise UsageError(
            f"--db {address!r} is neither a path nor a URL; allowed: a path, {_ALLOWED}"
        ) from None
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--db {named(address)!r} needs the Python package {error.name!r}, which is not "
            f"installed; allowed: a path, {_ALLOWED}: pip install 'byol-sweeps[postgres]'"
        ) from None

    if backend == "sqlite":
        _make_file(url)
    return engine


def schema_version(connection: Connection, address: str) -> str | None:
    """Return the version of our tables in a database; None where it has no tables at all.

    Raises:
        StoreError: its tables are another program's, which nobody wants mixed with ours or dropped
            by a rebuild.
    """
    names = inspect(connection).get_table_names()
    ours = "meta" in names and all(
        columns <= _columns(connection, table) for table, columns in _MARKS.items()
    )
    version: str | None = None
    if ours:
        query = select(schema.meta.c.value).where(schema.meta.c.key == "schema_version")
        version = connection.scalar(query)

    if names and version is None:
        shown = ", ".join(names[:3])
        if len(names) > 3:
            shown += ", …"
        raise StoreError(
            f"{named(address)}: holds the tables of another program ({shown}); choose another --db"
        )
    return version


def _columns(connection: Connection, table: str) -> set[str]:
    if not inspect(connection).has_table(table):
        return set()
    return {column["name"] for column in inspect(connection).get_columns(table)}


@contextmanager
def writing(
    engine: Engine, foreign_keys: bool = True, patience_s: float | None = None
) -> Iterator[Connection]:
    """Hold one transaction that writes from its first moment, so that what it reads cannot change.

    Args:
        engine: opened for writing.
        foreign_keys: let SQLite check them.
        patience_s: how long to wait for another writer; None for half a minute.

    Raises:
        OperationalError: somebody else writes, longer than the time limit.
    """
    with engine.connect().execution_options(begins_with="BEGIN IMMEDIATE") as connection:
        if engine.dialect.name == "sqlite" and not foreign_keys:
            connection.connection.execute("PRAGMA foreign_keys=OFF")
        if engine.dialect.name == "sqlite":
            wait_ms = int(1000 * (_BUSY_TIMEOUT_S if patience_s is None else patience_s))
            connection.connection.execute(f"PRAGMA busy_timeout={wait_ms}")
        with connection.begin():
            yield connection


def check_still_ours(connection: Connection) -> None:
    """Refuse a database that another version has made anew since it was opened.

    Raises:
        StoreError: which version.
    """
    query = select(schema.meta.c.value).where(schema.meta.c.key == "schema_version")
    url = connection.engine.url
    address = url.database or ""
    if connection.dialect.name != "sqlite":
        address = url.render_as_string()
    _check_version(connection.scalar(query), address)


def create_tables(connection: Connection) -> None:
    """Create all tables and views, and note the schema's version."""
    schema.metadata.create_all(connection)
    create_views(connection)
    connection.execute(insert(schema.meta).values(key="schema_version", value=str(schema.VERSION)))


def shared_warning(address: str) -> str | None:
    """Say what is at risk for a database on a network file system; None for any other."""
    file_system = filesystem_of(Path(address))
    if is_url(address) or not file_system.is_network:
        return None
    return (
        f"{address} lies on a network file system ({file_system.kind}): SQLite's locks are not "
        "reliable there, so it is used without write-ahead log, and more slowly; use it from one "
        "machine at a time, or set --db to a local disk. Results are safe: it can be made again "
        "from the runs"
    )


def _pragmas(url: URL) -> Callable[[Any, Any], None]:
    """Return a listener that sets up every new connection to a SQLite file."""
    is_shared = url.database and filesystem_of(Path(url.database)).is_network
    pragmas = _SHARED if is_shared else _LOCAL

    def set_pragmas(connection: Any, _: Any) -> None:
        # sqlite3 itself would begin late, and commit before it drops a table
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        if url.database:
            _hand_down_group(Path(url.database))

    return set_pragmas


def _make_file(url: URL) -> None:
    """Make a new database's file before SQLite does, which would leave its mode to the umask.

    Raises:
        StoreError: it cannot be made; of why, SQLite would say nothing.
    """
    if not url.database or Path(url.database).is_file():
        return
    try:
        os.close(create_file(Path(url.database).resolve(), os.O_RDWR))
    except OSError as error:
        problem = f"{url.database}: no database can be made there: {error.strerror}"
        raise StoreError(f"{problem}; choose another --db, in a folder that is there") from None


def _hand_down_group(file: Path) -> None:
    """Give the files beside a database its group.

    SQLite gives them its mode, but leaves the group to the folder.
    """
    for suffix in ("-wal", "-shm"):
        with suppress(OSError):  # they need not be there, and may be another user's
            os.chown(f"{file}{suffix}", -1, file.stat().st_gid)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begins_with", "BEGIN"))


def _check_version(version: str | None, address: str) -> None:
    """Raise unless a database is of our version."""
    if version == str(schema.VERSION):
        return
    versions = f"schema version {version}, this program writes version {schema.VERSION}"
    if version is not None and version.isdecimal() and int(version) < schema.VERSION:
        raise OldSchemaError(f"{named(address)}: {versions}; run: sweep rebuild")
    raise NewSchemaError(
        f"{named(address)}: {versions}; use the version of the program that made it, or choose "
        "another --db: it can be made again from the runs"
    )
