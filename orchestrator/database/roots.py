"""Names roots in results.db: one folder has one name there, by whatever link it was reached.

It decides whose a run is that several roots hold, and notes when a root was last collected, so that
what is shown later can be dated.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, select, update

from orchestrator.database import schema
from orchestrator.database.write_rows import Writer
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root, RunFolder, SweepFolder
from orchestrator.store.state import State

_NOTED_EVERY_S = 5.0


def recorded_name(root: Root) -> str:
    """Return the name of a root in the database: its path without symbolic links."""
    return str(root.path.resolve())


def adopt(connection: Connection, root: Root) -> None:
    """Give the rows of a root its one name, where an earlier version recorded a link to it."""
    name = recorded_name(root)
    for table in (schema.runs, schema.sweeps):
        for other in connection.scalars(select(table.c.root).distinct()).all():
            if other != name and str(Path(other).resolve()) == name:
                rows = update(table).where(table.c.root == other)
                connection.execute(rows.values(root=name))


def left_to_others(
    connection: Connection, root: Root, runs: Sequence[RunFolder], queue: Queue
) -> frozenset[str]:
    """Decide whose a run is that several roots hold; the rows of what is this root's now are gone.

    It belongs to the first root that had a result of it; while none has, to the first that has
    begun with it; before that, to the first of all. Folders that are no longer there do not count.

    Returns:
        The ids of the runs that other roots keep.
    """
    table = schema.runs
    query = select(table.c.run_number, table.c.run_id, table.c.root, table.c.state).where(
        table.c.root != recorded_name(root)
    )
    ours = {run.run_id: run for run in runs}
    kept = set()
    for run_number, run_id, home, state in connection.execute(query).all():
        if run_id not in ours:
            continue
        is_there = Root(Path(home)).run(run_id).path.is_dir()
        if is_there and not _is_further(ours[run_id], state, queue):
            kept.add(run_id)
        else:
            connection.execute(delete(table).where(table.c.run_number == run_number))
    return frozenset(kept)


def forget_moved(connection: Connection, root: Root, sweeps: Sequence[SweepFolder]) -> None:
    """Forget where sweeps of this root stood before, as before the root was moved."""
    table = schema.sweeps
    query = select(table.c.id, table.c.root, table.c.label).where(
        table.c.root != recorded_name(root)
    )
    ours = {sweep.path.name for sweep in sweeps}
    for sweep_id, home, label in connection.execute(query).all():
        if label in ours and not Root(Path(home)).sweep(label).path.is_dir():
            connection.execute(delete(table).where(table.c.id == sweep_id))


def _is_further(run: RunFolder, state: str, queue: Queue) -> bool:
    """Tell whether a run is further here than in the root where it is in that state."""
    last = run.last_attempt()
    if state == State.PLANNED:
        return last is not None or queue.knows(run.run_id)
    return state != State.COMPLETED and last is not None and last.done.exists()


def note_pass(connection: Connection, root: Root) -> None:
    """Note that a root is being collected now; a few seconds after the last time, nothing."""
    before = _last_pass(connection, root)
    if before is None or abs(time.time() - before) > _NOTED_EVERY_S:
        row = {"key": _key(root), "value": str(time.time())}
        Writer(connection).upsert(schema.meta, [row])


def last_pass(engine: Engine, root: Root) -> float | None:
    """Return when a root was last collected, in seconds since 1970; None where it is not known."""
    with engine.connect() as connection:
        return _last_pass(connection, root)


def _last_pass(connection: Connection, root: Root) -> float | None:
    query = select(schema.meta.c.value).where(schema.meta.c.key == _key(root))
    value: str | None = connection.scalar(query)
    return None if value is None else float(value)


def _key(root: Root) -> str:
    return f"collected {recorded_name(root)}"
