"""Opens results.db for reading, unable to change it; one block sees one state of it, whatever the
collector adds meanwhile.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, make_url, select
from sqlalchemy.exc import ArgumentError, DatabaseError

from orchestrator.database import schema


class NoDatabaseError(Exception):
    """There is no results.db of this program's version where one was looked for."""


@contextmanager
def reading(where: str | Path) -> Iterator[Connection]:
    """Hold a connection to a database that must exist.

    Args:
        where: path or SQLAlchemy URL.

    Raises:
        NoDatabaseError: missing, unreadable, or of another version.
    """
    engine = _open(str(where))
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")  # or each query would see a state of its own
            _check_version(connection, str(where))
            yield connection
    except DatabaseError as error:
        cause = str(error.orig).strip().partition("\n")[0]
        raise NoDatabaseError(
            f"{_named(where)}: {cause}; is it ours? `sweep rebuild` makes one from the runs"
        ) from None
    finally:
        engine.dispose()


def _check_version(connection: Connection, where: str) -> None:
    found = connection.scalar(
        select(schema.meta.c.value).where(schema.meta.c.key == "schema_version")
    )
    if found != str(schema.VERSION):
        text = (
            f"{_named(where)}: schema version {found}, this program reads version {schema.VERSION}"
        )
        raise NoDatabaseError(f"{text}; make it again from the runs with: sweep rebuild")


def _open(where: str) -> Engine:
    try:
        url = make_url(where) if "://" in where else URL.create("sqlite", database=where)
    except ArgumentError:
        raise NoDatabaseError(
            f"{where!r} is neither a path nor a URL such as sqlite:////data/results.db"
        ) from None
    if url.get_backend_name() == "postgresql":
        return _server(url)
    if url.get_backend_name() != "sqlite":
        raise NoDatabaseError(
            f"{url!r}: no such database is supported; allowed: a path, sqlite:///…, postgresql+psycopg://…"
        )
    file = Path(url.database or "").absolute()
    if not file.is_file():
        raise NoDatabaseError(
            f"{where}: there is no such database; `sweep status` makes it from the runs, or name another"
        )
    options = {"mode": "ro", "uri": "true", **({"immutable": "1"} if _is_at_rest(file) else {})}
    return create_engine(URL.create("sqlite", database=f"file:{quote(str(file))}", query=options))


def _server(url: URL) -> Engine:
    """Return an engine whose transactions see one state, as SQLite's do."""
    try:
        return create_engine(
            url, isolation_level="REPEATABLE READ", execution_options={"postgresql_readonly": True}
        )
    except ModuleNotFoundError as error:
        raise NoDatabaseError(
            f"{url!r} needs the Python package {error.name!r}: pip install 'byol-sweeps[postgres]'"
        ) from None


def _named(where: str | Path) -> str:
    """Return a path or URL as it may be shown: without the password."""
    return make_url(str(where)).render_as_string() if "://" in str(where) else str(where)


def _is_at_rest(file: Path) -> bool:
    """Tell whether nobody writes it and we could not even make the lock files beside it that SQLite
    wants of a reader.
    """
    return not os.access(file.parent, os.W_OK) and not file.with_name(f"{file.name}-wal").exists()
