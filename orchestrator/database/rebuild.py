"""Makes results.db again from the run folders, and proves that both hold the same.

The tables are dropped, created and filled in one transaction: readers see the old content until all
of the new is there, and a rebuild that dies changes nothing. A copy of the old database is kept
where it knows runs whose folders cannot be seen.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, inspect, text
from sqlalchemy.exc import DatabaseError

from byol_core.files import create_file, remove_tree
from orchestrator.database import schema
from orchestrator.database.address import cause, is_url, named
from orchestrator.database.collect import collect, collect_into
from orchestrator.database.connect import (
    connect_unchecked,
    create_tables,
    open_database,
    version_in,
    writing,
)
from orchestrator.database.digests import digests
from orchestrator.database.views import drop_views
from orchestrator.errors import StoreError
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

_SQLITE_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True)
class Rebuilt:
    """Says what a rebuild did.

    Attributes:
        runs: how many the database now knows.
        kept: where the old database went, None where the new one holds all that it knew.
        missing: run ids that only the old one knows.
        damaged: files that could not be read, a sentence each.
        wall_s: how long it took.
    """

    runs: int
    kept: Path | None
    missing: list[str]
    damaged: list[str]
    wall_s: float


@dataclass(frozen=True)
class Difference:
    """Names a run or sweep of which database and files do not hold the same.

    Attributes:
        what: "run <id>" or "sweep <label>".
        kind: "differs", "only in the database" or "only in the files".
    """

    what: str
    kind: str


def rebuild(address: str, root: Root, queue: Queue) -> Rebuilt:
    """Make the database again from this root and every other root that it knows.

    Raises:
        StoreError: the file is no SQLite database, or cannot be written; then it is as it was.
    """
    started_s = time.monotonic()
    kept = _move_away_what_is_broken(address)
    engine = connect_unchecked(address)
    try:
        # Keep what the files can no longer give.
        version_in(address)  # refuses another program's
        with engine.connect() as connection:
            known = _known_runs(connection)
            homes = _homes(root, connection)
        missing = sorted(run_id for run_id, home in known.items() if not _exists(home, run_id))
        if missing:
            kept = _copy(engine, address)

        # Replace all of it in one transaction: readers see the old content until it ends.
        damaged = []
        with writing(engine, foreign_keys=False) as connection:
            _drop_tables(connection)
            create_tables(connection)
            for home in homes:
                damaged += collect_into(Root(Path(home)), connection, queue)
            runs = connection.execute(text("SELECT count(*) FROM runs")).scalar_one()
    except DatabaseError as error:
        raise StoreError(
            f"{named(address)}: cannot be rebuilt: {cause(error)}; it is as it was"
        ) from None
    finally:
        engine.dispose()
    return Rebuilt(runs, kept, missing, damaged, time.monotonic() - started_s)


def verify(address: str, root: Root, queue: Queue) -> tuple[int, list[Difference]]:
    """Compare the database, brought up to date, with one that is made from the files alone.

    Returns:
        How many runs and sweeps were compared, and those that differ.

    Raises:
        StoreError: there is no such database.
    """
    if not is_url(address) and not Path(address).exists():
        raise StoreError(
            f"{address}: there is no such database to compare; `sweep rebuild` makes it"
        )

    # Bring the database up to date, or it would differ in what is new.
    engine = open_database(address)
    homes = _roots(engine, root)
    for home in homes:
        collect(home, engine, queue, wait=True)

    # Make a fresh one beside it, since /tmp may be small.
    beside = None if is_url(address) else Path(address).absolute().parent
    folder = Path(tempfile.mkdtemp(prefix=".sweep-verify-", dir=beside))
    try:
        fresh = open_database(str(folder / "fresh.db"))
        for home in homes:
            collect(home, fresh, queue, wait=True)
        with engine.connect() as connection:
            actual = digests(connection)
        with fresh.connect() as connection:
            expected = digests(connection)
        fresh.dispose()
    finally:
        remove_tree(folder)
    return len(actual.keys() | expected.keys()), _differences(actual, expected)


def _differences(actual: dict[str, str], expected: dict[str, str]) -> list[Difference]:
    """Compare the digests in the database with those that its files give."""
    differences = []
    for name in sorted(actual.keys() | expected.keys()):
        if name not in expected:
            differences.append(Difference(name, "only in the database"))
        elif name not in actual:
            differences.append(Difference(name, "only in the files"))
        elif actual[name] != expected[name]:
            differences.append(Difference(name, "differs"))
    return differences


def _roots(engine: Engine, root: Root) -> list[Root]:
    """Return this root and every other that the database knows."""
    with engine.connect() as connection:
        return [Root(Path(home)) for home in _homes(root, connection)]


def _homes(root: Root, connection: Connection) -> list[str]:
    """Return the paths of this root and of those that runs or sweeps are known from, each once."""
    known = {row.root for table in ("runs", "sweeps") for row in _known(connection, table, "root")}
    paths = {root.path, *map(Path, known)}
    return sorted({str(path.resolve()) for path in paths})


def _exists(home: str, run_id: str) -> bool:
    """Tell whether the folder of a run can be seen in its root."""
    return Root(Path(home)).run(run_id).path.exists()


def _known_runs(connection: Connection) -> dict[str, str]:
    """Return run id → root of the runs that a database of any version knows."""
    return {row.run_id: row.root for row in _known(connection, "runs", "run_id", "root")}


def _known(connection: Connection, table: str, *names: str) -> Sequence[Row[Any]]:
    """Return columns of a table of any version; nothing where it has them not."""
    if not inspect(connection).has_table(table):
        return []
    columns = {column["name"] for column in inspect(connection).get_columns(table)}
    if not set(names) <= columns:
        return []
    return connection.execute(text(f"SELECT {', '.join(names)} FROM {table}")).all()


def _drop_tables(connection: Connection) -> None:
    """Drop the tables and views of our names; what else is there is not ours."""
    drop_views(connection)
    quote = connection.dialect.identifier_preparer.quote
    for name in inspect(connection).get_table_names():
        if name in schema.metadata.tables:
            statement = f"DROP TABLE {quote(name)}"
            if connection.dialect.name != "sqlite":
                statement += " CASCADE"
            connection.execute(text(statement))


def _copy(engine: Engine, address: str) -> Path:
    """Copy a SQLite database; keeping any other is the work of its administrator."""
    if engine.dialect.name != "sqlite":
        raise StoreError(
            f"{named(address)}: holds runs whose folders are missing, "
            "and only SQLite can be copied; back it up first"
        )

    # SQLite fills an empty file, but would leave the mode of a new one to the umask.
    copy = _free_name(Path(address), "before-rebuild")
    os.close(create_file(copy, os.O_WRONLY))

    # SQLAlchemy would begin a transaction, and VACUUM cannot be in one.
    with engine.connect() as connection:
        connection.connection.cursor().execute("VACUUM INTO ?", (str(copy),))
    return copy


def _move_away_what_is_broken(address: str) -> Path | None:
    """Move a SQLite file that SQLite cannot read out of the way; return where it went.

    Raises:
        StoreError: it is no SQLite file, so not ours to move.
    """
    path = Path(address).absolute()
    if is_url(address) or not path.exists() or path.stat().st_size == 0:
        return None
    with path.open("rb") as file:
        if file.read(len(_SQLITE_MAGIC)) != _SQLITE_MAGIC:
            raise StoreError(f"{address}: is no SQLite database; choose another --db")

    # Leave it where it is if SQLite can read all of it.
    with suppress(DatabaseError):
        version_in(address)  # refuses another program's before anything is changed
        with connect_unchecked(address).connect() as connection:
            if connection.execute(text("PRAGMA quick_check(1)")).scalar() == "ok":
                return None

    # Move its log first: were this cut short, a new database might take the log for its own.
    aside = _free_name(path, "damaged")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _free_name(path: Path, why: str) -> Path:
    """Return a name beside a file that nothing has yet: it holds the time."""
    moment = f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1000:03d}"
    return path.absolute().with_name(f"{path.name}.{why}-{moment}")
