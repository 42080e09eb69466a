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

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DatabaseError

from byol_core.files import create_file, remove_tree
from orchestrator.database import schema
from orchestrator.database.collect import collect, collect_into
from orchestrator.database.connect import (
    cause,
    connect_unchecked,
    create_tables,
    named,
    open_database,
    version_in,
    writing,
)
from orchestrator.database.digests import digests
from orchestrator.errors import StoreError
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

_SQLITE_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild did.

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
    """A run or sweep that database and files do not tell alike; `kind` is `differs`, `only in the
    database` or `… files`.
    """

    what: str
    kind: str


def rebuild(where: str, root: Root, queue: Queue) -> Rebuilt:
    """Make the database again from this root and every other root that it knows.

    Raises:
        StoreError: the file is no SQLite database, or cannot be written; then it is as it was.
    """
    started_s = time.monotonic()
    kept = _move_away_what_is_broken(where)
    engine = connect_unchecked(where)
    try:
        version_in(where)  # refuses another program's
        with engine.connect() as connection:
            known = _known_runs(connection)
        missing = sorted(
            run_id
            for run_id, home in known.items()
            if not Root(Path(home)).run(run_id).path.exists()
        )
        if missing:
            kept = _copy(engine, where)
        with writing(engine, foreign_keys=False) as connection:
            _drop_tables(connection)
            create_tables(connection)
            roots = {str(root.path), *known.values()}
            damaged = [
                one
                for home in sorted(roots)
                for one in collect_into(Root(Path(home)), connection, queue)
            ]
            runs = connection.execute(text("SELECT count(*) FROM runs")).scalar_one()
    except DatabaseError as error:
        raise StoreError(
            f"{named(where)}: cannot be rebuilt: {cause(error)}; it is as it was"
        ) from None
    finally:
        engine.dispose()
    return Rebuilt(runs, kept, missing, damaged, time.monotonic() - started_s)


def verify(where: str, root: Root, queue: Queue) -> tuple[int, list[Difference]]:
    """Compare the database, brought up to date, with one that is made from the files alone.

    Returns:
        How many runs and sweeps were compared, and those that differ.

    Raises:
        StoreError: there is no such database.
    """
    if "://" not in where and not Path(where).exists():
        raise StoreError(f"{where}: there is no such database to compare; `sweep rebuild` makes it")
    engine = open_database(where)
    homes = _roots(engine, root)
    for home in homes:
        collect(home, engine, queue, wait=True)
    folder = Path(
        tempfile.mkdtemp(
            prefix=".sweep-verify-", dir=None if "://" in where else Path(where).absolute().parent
        )
    )
    try:
        fresh = open_database(str(folder / "fresh.db"))
        for home in homes:
            collect(home, fresh, queue, wait=True)
        with engine.connect() as here, fresh.connect() as there:
            found, expected = digests(here), digests(there)
        fresh.dispose()
    finally:
        remove_tree(folder)
    return len(found.keys() | expected.keys()), [*_differences(found, expected)]


def _differences(found: dict[str, str], expected: dict[str, str]) -> Sequence[Difference]:
    kinds = {
        name: "only in the database"
        if name not in expected
        else "only in the files"
        if name not in found
        else "differs"
        for name in found.keys() | expected.keys()
        if found.get(name) != expected.get(name)
    }
    return [Difference(name, kinds[name]) for name in sorted(kinds)]


def _roots(engine: Engine, root: Root) -> list[Root]:
    with engine.connect() as connection:
        homes = {str(root.path), *_known_runs(connection).values()}
    return [Root(Path(home)) for home in sorted(homes)]


def _known_runs(connection: Connection) -> dict[str, str]:
    """Return run id → root, from a database of any version; nothing from one that has no such
    table.
    """
    columns = (
        {column["name"] for column in inspect(connection).get_columns("runs")}
        if _has(connection, "runs")
        else set()
    )
    if not {"run_id", "root"} <= columns:
        return {}
    return {
        row.run_id: row.root for row in connection.execute(text("SELECT run_id, root FROM runs"))
    }


def _has(connection: Connection, table: str) -> bool:
    return bool(inspect(connection).has_table(table))


def _drop_tables(connection: Connection) -> None:
    """Drop the tables of our names; what else is there is not ours."""
    quote, is_file = (
        connection.dialect.identifier_preparer.quote,
        connection.dialect.name == "sqlite",
    )
    for name in inspect(connection).get_table_names():
        if name in schema.metadata.tables:
            connection.execute(text(f"DROP TABLE {quote(name)}{'' if is_file else ' CASCADE'}"))


def _copy(engine: Engine, where: str) -> Path | None:
    """Keep what the files can no longer give; on another database than SQLite, keeping it is its
    administrator's work.
    """
    if engine.dialect.name != "sqlite":
        raise StoreError(
            f"{named(where)}: holds runs whose folders are missing, and only SQLite can be copied; back it up first"
        )
    copy = _free_name(Path(where), "before-rebuild")
    os.close(
        create_file(copy, os.O_WRONLY)
    )  # SQLite fills an empty file, and would leave the mode of a new one to the umask
    with (
        engine.connect() as connection
    ):  # past SQLAlchemy, which would begin a transaction; VACUUM cannot be in one
        connection.connection.cursor().execute("VACUUM INTO ?", (str(copy),))
    return copy


def _move_away_what_is_broken(where: str) -> Path | None:
    """Move a SQLite file that SQLite cannot read out of the way; anything else that is there is not
    ours to move.
    """
    path = Path(where).absolute()
    if "://" in where or not path.exists() or path.stat().st_size == 0:
        return None
    with path.open("rb") as file:
        if file.read(len(_SQLITE_MAGIC)) != _SQLITE_MAGIC:
            raise StoreError(f"{where}: is no SQLite database; choose another --db")
    with suppress(DatabaseError):
        version_in(where)  # refuses another program's before anything is changed
        with connect_unchecked(where).connect() as connection:
            if connection.execute(text("PRAGMA quick_check(1)")).scalar() == "ok":
                return None
    aside = _free_name(path, "damaged")
    for suffix in ("-wal", "-shm", ""):
        if path.with_name(path.name + suffix).exists():
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def _free_name(path: Path, why: str) -> Path:
    return path.absolute().with_name(
        f"{path.name}.{why}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1000:03d}"
    )
