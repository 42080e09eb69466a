"""Opens results.db for reading, unable to change it.

One block sees one state of the database, whatever the collector adds meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, select
from sqlalchemy.exc import DatabaseError

from analysis.errors import AnalysisError
from orchestrator.database import schema
from orchestrator.database.address import AddressError, cause, named, parse, read_only_url


class NoDatabaseError(AnalysisError):
    """Means that there is no results.db of this program's version where one was looked for."""


@contextmanager
def reading(database: str | Path) -> Iterator[Connection]:
    """Hold a connection to a database that must exist.

    Args:
        database: path or SQLAlchemy URL.

    Raises:
        NoDatabaseError: missing, unreadable, or of another version.
    """
    address = str(database)
    engine = _open(address)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")  # or each query would see a state of its own
            _check_version(connection, address)
            yield connection
    except DatabaseError as error:
        raise NoDatabaseError(
            f"{named(address)}: {cause(error)}; is it ours? `sweep rebuild` makes one from the runs"
        ) from None
    finally:
        engine.dispose()


def _check_version(connection: Connection, address: str) -> None:
    """Raise unless a database is of our version."""
    query = select(schema.meta.c.value).where(schema.meta.c.key == "schema_version")
    version = connection.scalar(query)
    if version != str(schema.VERSION):
        raise NoDatabaseError(
            f"{named(address)}: schema version {version}, this program reads version "
            f"{schema.VERSION}; make it again from the runs with: sweep rebuild"
        )


def _open(address: str) -> Engine:
    """Return an engine that can only read; of a SQLite file, one that must be there."""
    try:
        url = parse(address)
    except AddressError as error:
        raise NoDatabaseError(f"{error} such as sqlite:////data/results.db") from None

    if url.get_backend_name() == "postgresql":
        return _server(url)
    if url.get_backend_name() != "sqlite":
        raise NoDatabaseError(
            f"{url!r}: no such database is supported; "
            "allowed: a path, sqlite:///…, postgresql+psycopg://…"
        )

    file = Path(url.database or "").absolute()
    if not file.is_file():
        raise NoDatabaseError(
            f"{address}: there is no such database; "
            "`sweep status` makes it from the runs, or name another"
        )

    return create_engine(read_only_url(file))


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
