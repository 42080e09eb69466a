"""Moves what the run folders say into results.db. Idempotent: a pass cut short anywhere is made
good by the next.

One pass is one transaction: the new event lines of every attempt and the cursor up to which they
were read are committed together. Runs that have ended are skipped while their folder has not
changed. Nothing here changes a run or a job.
"""

import fcntl
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, select
from sqlalchemy.exc import DatabaseError, OperationalError

from byol_core.files import DamagedFileError, read_json
from orchestrator.database import schema
from orchestrator.database.connect import cause, writing
from orchestrator.database.read_run import DatabaseRow, RunRows, new_run, read_run
from orchestrator.database.write_rows import Writer
from orchestrator.errors import StoreError
from orchestrator.store.jobs import Queue
from orchestrator.store.locks import open_lock
from orchestrator.store.root import Root, RunFolder
from orchestrator.store.state import ACTIVE, State

_UNTOUCHED = "no attempt"
_COARSEST_NS = 2_000_000_000
_RUNS_AT_ONCE, _POINTS_AT_ONCE = 200, 20_000


def collect(root: Root, engine: Engine, queue: Queue, wait: bool = False) -> list[str] | None:
    """Make one pass over a root.

    Args:
        root: where the files are.
        engine: opened for writing.
        queue: what the scheduler says.
        wait: wait for another collector instead of leaving the work to it.

    Returns:
        What could not be read, a sentence each; None where another collector is at work.

    Raises:
        StoreError: the database cannot be written; it is as it was.
    """
    try:
        descriptor = open_lock(root.path / "collector.lock")
    except FileNotFoundError:
        return []  # no root yet: nothing to collect
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        with writing(engine) as connection:
            return collect_into(root, connection, queue)
    except BlockingIOError:
        return None
    except OperationalError as error:
        if _is_busy(error) and not wait:
            return None  # a rebuild, or the collector of another root
        raise _not_written(error) from None
    except DatabaseError as error:
        raise _not_written(error) from None
    finally:
        os.close(descriptor)


def collect_into(root: Root, connection: Connection, queue: Queue) -> list[str]:
    """Make one pass inside a transaction of the caller; return what could not be read."""
    one_pass = _Pass(root, connection, queue)
    one_pass.collect()
    return one_pass.damaged


def _is_busy(error: OperationalError) -> bool:
    return getattr(error.orig, "sqlite_errorname", "") == "SQLITE_BUSY"


def _not_written(error: DatabaseError) -> StoreError:
    return StoreError(
        f"the database cannot be written: {cause(error)}; no run is affected, the next pass catches up"
    )


@dataclass(frozen=True)
class _Known:
    """A run as the database knows it."""

    run_number: int
    state: str
    attempt: int
    stamp: str
    job_id: str | None
    queue_reason: str | None


@dataclass
class _Pass:
    root: Root
    connection: Connection
    queue: Queue
    damaged: list[str] = field(default_factory=list)

    def collect(self) -> None:
        self.writer = Writer(self.connection)
        runs, sweeps = self.root.runs(), self.root.sweeps()
        self._forget_all_but(schema.runs, "run_id", {run.run_id for run in runs})
        self._forget_all_but(schema.sweeps, "label", {sweep.path.name for sweep in sweeps})
        if self.queue.answered_at is not None:
            self.writer.upsert(
                schema.roots,
                [{"path": str(self.root.path), "slurm_answered_at": self.queue.answered_at}],
            )
        for sweep in sweeps:
            plan = self._read(sweep.plan)
            if plan is not None:
                self._sweep(plan)
        known = self._known_runs()
        new = [row for run in runs if run.run_id not in known and (row := self._new_run(run))]
        if new:
            self.writer.insert(schema.runs, new)
            known = self._known_runs()
        changed = [
            (run, known[run.run_id].run_number)
            for run in runs
            if run.run_id in known and self._may_have_changed(run, known[run.run_id])
        ]
        for start in range(0, len(changed), _RUNS_AT_ONCE):
            self._look_at(changed[start : start + _RUNS_AT_ONCE])

    def _forget_all_but(self, table: Table, name: str, there: set[str]) -> None:
        """Drop what the database has of this root and whose folder was deleted: the files are the
        truth.
        """
        (key,) = table.primary_key
        ours = select(key, table.c[name]).where(table.c.root == str(self.root.path))
        gone = [
            number for number, known in self.connection.execute(ours).all() if known not in there
        ]
        for number in gone:
            self.connection.execute(delete(table).where(key == number))

    def _read(self, file: Path) -> Any | None:
        try:
            return read_json(file)
        except DamagedFileError as error:
            self.damaged.append(str(error))
            return None

    def _may_have_changed(self, run: RunFolder, known: _Known) -> bool:
        """Tell whether a run needs a look: its folder changed, or its state hangs on a process or a
        job.
        """
        stamp = _stamp(run, known.attempt)
        if stamp == known.stamp == _UNTOUCHED and self._waits_as_before(run.run_id, known):
            return False
        asked = self.queue.knows(run.run_id) and known.state != State.COMPLETED
        return stamp != known.stamp or known.state in ACTIVE or asked

    def _waits_as_before(self, run_id: str, known: _Known) -> bool:
        """Tell whether its job waits for what it waited for: thousands do, and nothing is to be
        written of them.
        """
        facts = self.queue.live.get(run_id)
        if facts is None or facts.word != "PENDING":
            return False
        return (known.state, known.job_id, known.queue_reason) == (
            State.SUBMITTED,
            facts.job_id,
            facts.reason or None,
        )

    def _known_runs(self) -> dict[str, _Known]:
        columns = (
            schema.runs.c[name]
            for name in (
                "run_id",
                "run_number",
                "state",
                "attempt",
                "stamp",
                "job_id",
                "queue_reason",
            )
        )
        return {
            run_id: _Known(*facts)
            for run_id, *facts in self.connection.execute(select(*columns)).all()
        }

    def _sweep(self, plan: dict[str, Any]) -> None:
        known = self.connection.execute(
            select(schema.sweeps.c.id, schema.sweeps.c.launched_at).where(
                schema.sweeps.c.label == plan["label"]
            )
        ).first()
        if known is not None and known.launched_at == plan["launched_at"]:
            return
        if known is not None:
            self.connection.execute(delete(schema.sweeps).where(schema.sweeps.c.id == known.id))
        row = {key: plan[key] for key in ("label", "name", "profile", "question", "launched_at")}
        row |= {key: json.dumps(plan[key]) for key in ("baseline", "tables", "overrides")} | {
            "root": str(self.root.path)
        }
        sweep_id = self.writer.insert_one(schema.sweeps, row)
        variants = [
            {
                "sweep_id": sweep_id,
                "position": i,
                "name": variant["name"],
                "overrides": json.dumps(variant["overrides"]),
            }
            for i, variant in enumerate(plan["variants"])
        ]
        self.writer.insert(schema.variants, variants)
        self.writer.insert(
            schema.sweep_runs, [{"sweep_id": sweep_id, **run} for run in plan["runs"]]
        )

    def _new_run(self, run: RunFolder) -> DatabaseRow | None:
        """Return the row of a run that is seen for the first time; one with attempts gets its
        results in the same pass.
        """
        stamp, description = _stamp(run, 0), self._read(run.description)
        if description is None:
            return None
        return new_run(description, str(self.root.path), stamp if stamp == _UNTOUCHED else "")

    def _look_at(self, runs: Sequence[tuple[RunFolder, int]]) -> None:
        known = self._known_attempts([run_number for _, run_number in runs])
        read: list[RunRows] = []
        for run, run_number in runs:
            stamp = _stamp(
                run, max((attempt.number for attempt in run.attempts()), default=0)
            )  # before what it stands for
            try:
                rows = read_run(
                    run, run_number, known.get(run_number, {}), self.queue, self.writer.metrics
                )
            except DamagedFileError as error:  # the other runs are none the worse
                self.damaged.append(str(error))
            else:
                rows.run["stamp"] = stamp if _is_settled(rows, stamp) else ""
                read.append(rows)
            if sum(len(rows.points) for rows in read) > _POINTS_AT_ONCE:
                self.writer.write(read)
                read = []
        self.writer.write(read)

    def _known_attempts(self, numbers: Sequence[int]) -> dict[int, dict[int, DatabaseRow]]:
        known: dict[int, dict[int, DatabaseRow]] = {}
        rows = self.connection.execute(
            select(schema.attempts).where(schema.attempts.c.run_number.in_(numbers))
        ).mappings()
        for row in rows:
            known.setdefault(row["run_number"], {})[row["number"]] = dict(row)
        return known


def _is_settled(rows: RunRows, stamp: str) -> bool:
    """Tell whether the folder's stamp says it all: a shared file system may show a result before
    the end of its log.

    A stamp of just now does not: clocks of file systems are coarse, and the next change may leave
    it as it is.
    """
    if stamp != _UNTOUCHED and max(map(int, stamp.split())) > time.time_ns() - _COARSEST_NS:
        return False
    return rows.run["state"] != State.COMPLETED or rows.attempts[-1]["state"] is not None


def _stamp(run: RunFolder, newest: int) -> str:
    """Return what changes when an attempt, its end or an evaluation comes in.

    Args:
        run: its folder.
        newest: the number of its newest attempt, as far as is known; 0 for none. Listing the folder
            would take as long again.
    """
    folder = os.fspath(run.path)
    attempts = _modified(f"{folder}/attempts")
    if not attempts:
        return _UNTOUCHED
    return f"{attempts} {_modified(f'{folder}/attempts/{newest:04d}')} {_modified(f'{folder}/evaluations')}"


def _modified(path: str) -> int:
    """Return when a folder was last changed, in nanoseconds since 1970; 0 where there is none."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - thousands of times
    except FileNotFoundError:
        return 0
