"""Brings what the run folders say into results.db; it changes no run and no job.

One pass is one transaction: the new event lines of every attempt and the cursor up to which they
were read are committed together, so a pass cut short anywhere is made good by the next. Runs that
have ended are skipped while their stamp has not changed.
"""

import fcntl
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, select
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from byol_core.files import DamagedFileError
from orchestrator.database import schema
from orchestrator.database.address import cause, is_busy
from orchestrator.database.annotation_rows import add_annotations, write_annotations
from orchestrator.database.connect import check_still_ours, writing
from orchestrator.database.read_run import (
    DatabaseRow,
    RunRows,
    damaged_run,
    new_run,
    read_run,
)
from orchestrator.database.roots import (
    adopt,
    forget_moved,
    left_to_others,
    note_pass,
    recorded_name,
)
from orchestrator.database.stamps import UNTOUCHED, stamp_of
from orchestrator.database.write_rows import Writer
from orchestrator.errors import StoreError
from orchestrator.store.jobs import Queue
from orchestrator.store.locks import open_lock
from orchestrator.store.root import Root, RunFolder, SweepFolder
from orchestrator.store.state import ACTIVE, State

_COARSEST_NS = 2_000_000_000
"""The coarsest clock of a file system that we know of."""

_RUNS_AT_ONCE = 200
_POINTS_AT_ONCE = 20_000
"""What is held in memory before it is written."""


def collect(
    root: Root, engine: Engine, queue: Queue, wait: bool = False, patience_s: float = 2.0
) -> list[str] | None:
    """Make one pass over a root.

    Args:
        root: where the files are.
        engine: opened for writing.
        queue: what the scheduler says.
        wait: wait for another collector instead of leaving the work to it.
        patience_s: how long to wait for another program that writes the database, unless `wait`.

    Returns:
        What could not be read, a sentence each; None where another collector is at work, or another
        program writes the database.

    Raises:
        StoreError: the database cannot be written, or another version has made it anew; it is as
            it was.
    """
    try:
        descriptor = open_lock(root.path / "collector.lock")
    except FileNotFoundError:
        return []  # no root yet: nothing to collect

    mode = fcntl.LOCK_EX
    if not wait:
        mode |= fcntl.LOCK_NB
    try:
        fcntl.flock(descriptor, mode)
        with writing(engine, patience_s=None if wait else patience_s) as connection:
            check_still_ours(connection)
            return collect_into(root, connection, queue)
    except BlockingIOError:
        return None
    except OperationalError as error:
        if is_busy(error) and not wait:
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


def _not_written(error: DatabaseError) -> StoreError:
    return StoreError(
        f"the database cannot be written: {cause(error)}; "
        "no run is affected, the next pass catches up"
    )


@dataclass(frozen=True)
class _Known:
    """Holds what the database knows of a run."""

    run_number: int
    state: str
    attempt: int
    stamp: str
    job_id: str | None
    queue_reason: str | None


class _Pass:
    """Makes one pass over a root; `damaged` says what could not be read."""

    def __init__(self, root: Root, connection: Connection, queue: Queue) -> None:
        self.root = root
        self.root_name = recorded_name(root)
        self.connection = connection
        self.queue = queue
        self.writer = Writer(connection)
        self.damaged: list[str] = []

    def collect(self) -> None:
        """Make the pass."""
        adopt(self.connection, self.root)
        note_pass(self.connection, self.root)
        folders = self.root.runs()
        sweeps = self.root.sweeps()

        # 1. Forget the runs and sweeps whose folders were deleted: the files are the truth.
        self._forget_all_but(schema.runs, "run_id", {run.run_id for run in folders})
        self._forget_all_but(schema.sweeps, "label", {sweep.path.name for sweep in sweeps})
        forget_moved(self.connection, self.root, sweeps)
        left = left_to_others(self.connection, self.root, folders, self.queue)
        runs = [run for run in folders if run.run_id not in left]

        # 2. Note when SLURM last answered: the states of waiting runs are as old as its answer.
        if self.queue.answered_at is not None:
            root = {"path": self.root_name, "slurm_answered_at": self.queue.answered_at}
            self.writer.upsert(schema.roots, [root])

        # 3. Take over what was planned: which variant and seed of a sweep wants which run.
        for sweep in sweeps:
            self._take_over(sweep)

        # 4. Give a row to every new run: the rows of its attempts and results hang on its number.
        known = self._known_runs()
        new = [run for run in runs if run.run_id not in known]
        if new:
            self._add_runs(new)
            known = self._known_runs()

        # 5. Choose the runs that need a look: most have ended, and stay as they are.
        changed = [
            (run, known[run.run_id].run_number)
            for run in runs
            if run.run_id in known and self._may_have_changed(run, known[run.run_id])
        ]

        # 6. Read and write what is new of these, some runs at a time, to hold little in memory.
        for start in range(0, len(changed), _RUNS_AT_ONCE):
            self._look_at(changed[start : start + _RUNS_AT_ONCE])

    def _forget_all_but(self, table: Table, name: str, present: set[str]) -> None:
        """Delete the rows of this root whose name is not among those present."""
        (key,) = table.primary_key
        ours = select(key, table.c[name]).where(table.c.root == self.root_name)
        for number, known in self.connection.execute(ours).all():
            if known not in present:
                self.connection.execute(delete(table).where(key == number))

    def _take_over(self, sweep: SweepFolder) -> None:
        """Write a sweep as its last launch planned it; one that cannot be taken is set aside."""
        try:
            plan = sweep.read_plan()
            if plan is not None:
                with self.connection.begin_nested():
                    self._write_plan(plan)
                    self.damaged += write_annotations(self.writer, self.root_name, sweep.path)
        except DamagedFileError as error:
            self.damaged.append(str(error))
        except IntegrityError as error:
            self.damaged.append(f"{sweep.plan}: the database cannot take it: {cause(error)}")

    def _write_plan(self, plan: dict[str, Any]) -> None:
        """Write a sweep in place of what an older launch planned."""
        table = schema.sweeps
        query = select(table.c.id, table.c.launched_at).where(
            table.c.root == self.root_name, table.c.label == plan["label"]
        )
        known = self.connection.execute(query).first()
        if known is not None:
            if known.launched_at == plan["launched_at"]:
                return
            self.connection.execute(delete(table).where(table.c.id == known.id))

        sweep = {key: plan[key] for key in ("label", "name", "profile", "question", "launched_at")}
        sweep |= {key: json.dumps(plan[key]) for key in ("baseline", "tables", "overrides")}
        sweep |= {key: plan.get(key) for key in ("launched_by", "semantics")}
        sweep["seeds"] = json.dumps(plan["seeds"]) if "seeds" in plan else None
        sweep["root"] = self.root_name
        sweep_id = self.writer.insert_one(table, sweep)

        variants = [
            {
                "sweep_id": sweep_id,
                "position": position,
                "name": variant["name"],
                "overrides": json.dumps(variant["overrides"]),
                "config": json.dumps(_asked_for(variant)),
            }
            for position, variant in enumerate(plan["variants"])
        ]
        self.writer.insert(schema.variants, variants)
        sweep_runs = [{"sweep_id": sweep_id, **run} for run in plan["runs"]]
        self.writer.insert(schema.sweep_runs, sweep_runs)

    def _known_runs(self) -> dict[str, _Known]:
        """Return run id → what the database knows, of the runs of all roots."""
        names = ("run_number", "state", "attempt", "stamp", "job_id", "queue_reason")
        query = select(schema.runs.c.run_id, *(schema.runs.c[name] for name in names))
        return {run_id: _Known(*facts) for run_id, *facts in self.connection.execute(query)}

    def _add_runs(self, runs: Sequence[RunFolder]) -> None:
        """Insert the rows of runs that are seen for the first time."""
        rows = []
        for run in runs:
            stamp = stamp_of(run, 0)  # taken before the folder is read
            try:
                description = run.read_description()
            except DamagedFileError as error:
                self.damaged.append(str(error))
                continue
            except StoreError:
                continue  # its launcher has yet to write it

            # An empty stamp makes a run with attempts get its results in the same pass.
            known_stamp = stamp if stamp == UNTOUCHED else ""
            rows.append(new_run(description, self.root_name, known_stamp))
        self.writer.insert(schema.runs, rows)

    def _may_have_changed(self, run: RunFolder, known: _Known) -> bool:
        """Tell whether a run needs a look: its folder, its process or its job may have changed."""
        stamp = stamp_of(run, known.attempt)
        if stamp == known.stamp == UNTOUCHED and self._waits_as_before(run.run_id, known):
            return False
        if stamp != known.stamp or known.state in ACTIVE:
            return True
        return known.state != State.COMPLETED and self.queue.knows(run.run_id)

    def _waits_as_before(self, run_id: str, known: _Known) -> bool:
        """Tell whether its job waits for what it waited for.

        Thousands of jobs do, and nothing is to be written of them.
        """
        facts = self.queue.live.get(run_id)
        if facts is None or facts.word != "PENDING":
            return False
        before = (known.state, known.job_id, known.queue_reason)
        return before == (State.SUBMITTED, facts.job_id, facts.reason or None)

    def _look_at(self, runs: Sequence[tuple[RunFolder, int]]) -> None:
        """Read what is new of some runs, given with their numbers, and write it."""
        known_attempts = self._known_attempts([run_number for _, run_number in runs])
        read: list[RunRows] = []
        for run, run_number in runs:
            known = known_attempts.get(run_number, {})
            try:
                # The stamp is taken first: what comes in while we read is found by the next pass.
                last = run.last_attempt()
                stamp = stamp_of(run, last.number if last else 0)
                rows = read_run(run, run_number, known, self.queue, self.writer.metrics)
                rows.run["stamp"] = stamp if _is_settled(rows, stamp) else ""
            except DamagedFileError as error:  # the other runs are none the worse
                self.damaged.append(str(error))
                rows = damaged_run(run_number, str(error))

            # What is damaged is named by every pass, until it is mended.
            damaged = add_annotations(rows, run.path)
            if damaged:
                self.damaged += damaged
                rows.run["stamp"] = ""
            read.append(rows)
            if sum(len(rows.points) for rows in read) > _POINTS_AT_ONCE:
                self.writer.write(read)
                read = []
        self.writer.write(read)

    def _known_attempts(self, run_numbers: Sequence[int]) -> dict[int, dict[int, DatabaseRow]]:
        """Return run number → attempt number → row, of what the database knows."""
        table = schema.attempts
        query = select(table).where(table.c.run_number.in_(run_numbers))
        known: dict[int, dict[int, DatabaseRow]] = {}
        for row in self.connection.execute(query).mappings():
            known.setdefault(row["run_number"], {})[row["number"]] = dict(row)
        return known


def _asked_for(variant: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that runs of a planned variant have, without the seed."""
    settings = {**variant["config"], **variant.get("by_images", {})}
    settings.pop("seed", None)
    return settings


def _is_settled(rows: RunRows, stamp: str) -> bool:
    """Tell whether a run needs no look before its folder's stamp changes."""
    # Clocks of file systems are coarse: a change right after this one may leave the stamp as it is.
    if stamp != UNTOUCHED and max(map(int, stamp.split())) > time.time_ns() - _COARSEST_NS:
        return False
    # A shared file system may show a result before the end of its log.
    return rows.run["state"] != State.COMPLETED or rows.attempts[-1]["state"] is not None
