"""Opens results.db: for the collector to write, for everybody else to read."""

from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError

from orchestrator import schema
from orchestrator.errors import StoreError, UsageError

_BUSY_TIMEOUT_S = 30


def open_database(where: str) -> Engine:
    """Open a database for writing, and create its tables where it is new.

    Args:
        where: a path or a SQLAlchemy URL.

    Raises:
        StoreError: it is no database of ours, of another schema version, or cannot be written.
    """
    engine = _engine(where)
    try:
        with engine.begin() as connection:
            if not inspect(connection).has_table("meta"):
                _create(connection)
            _check_version(connection, where)
    except DatabaseError as error:
        raise StoreError(
            f"{where}: {error.orig}; move it away or choose another --db: it can be made again from the runs"
        ) from None
    return engine


def _engine(where: str) -> Engine:
    try:
        url = make_url(where) if "://" in where else make_url(f"sqlite:///{Path(where).absolute()}")
        engine = create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_S} if url.drivername.startswith("sqlite") else {})
    except ArgumentError:
        raise UsageError(f"--db {where!r} is neither a path nor a URL such as sqlite:////data/results.db") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
    return engine


def _set_pragmas(connection, _) -> None:  # type: ignore[no-untyped-def]
    # A lost tail of the index costs nothing, since it is collected again: NORMAL keeps it consistent without more syncs.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _create(connection: Connection) -> None:
    schema.metadata.create_all(connection)
    connection.execute(insert(schema.meta).values(key="schema_version", value=str(schema.VERSION)))


def _check_version(connection: Connection, where: str) -> None:
    found = connection.scalar(select(schema.meta.c.value).where(schema.meta.c.key == "schema_version"))
    if found != str(schema.VERSION):
        raise StoreError(
            f"{where}: schema version {found}, this program writes version {schema.VERSION}; "
            "use the version of the program that made it, or choose another --db: it can be made again from the runs"
        )
