"""Moves what the run folders say into results.db. Idempotent: a pass cut short anywhere is made good by the next.

One pass is one transaction: the new event lines of every attempt and the offset up to which they were read are committed
together. Runs that have ended are skipped while their folder has not changed. Nothing here changes a run or a job.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError

from byol_core.files import DamagedFileError, RecordReader, read_json
from orchestrator import schema
from orchestrator.errors import StoreError
from orchestrator.root import AttemptFolder, Root, RunFolder
from orchestrator.states import ACTIVE, Queue, State, standing

_UNTOUCHED = "no attempt"
_INSERT_POINTS = "INSERT OR IGNORE INTO points (run, metric, step, attempt, value, non_finite) VALUES (?, ?, ?, ?, ?, ?)"


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
        descriptor = os.open(root.path / "collector.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return []  # no root yet: nothing to collect
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        with engine.begin() as connection:
            one_pass = _Pass(root, connection, queue)
            one_pass.collect()
    except BlockingIOError:
        return None
    except DatabaseError as error:
        raise StoreError(
            f"the database cannot be written: {error.orig}; no run is affected, the next pass catches up"
        ) from None
    finally:
        os.close(descriptor)
    return one_pass.damaged


@dataclass
class _Pass:
    root: Root
    connection: Connection
    queue: Queue
    metric_ids: dict[str, int] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def collect(self) -> None:
        self._forget_what_is_gone()
        for sweep in self.root.sweeps():
            plan = self._read(sweep.plan)
            if plan is not None:
                self._sweep(plan)
        known = self._known_runs()
        self.metric_ids = {row.name: row.id for row in self.connection.execute(select(schema.metrics))}
        runs = [(run, _stamp(run)) for run in self.root.runs()]
        new = [self._new_run(run, stamp) for run, stamp in runs if run.run_id not in known]
        if any(new):
            self.connection.execute(insert(schema.runs), [row for row in new if row is not None])
            known = self._known_runs()
        for run, stamp in runs:
            if run.run_id in known and self._may_have_changed(run.run_id, *known[run.run_id][1:], stamp):
                try:
                    self._run(run, known[run.run_id][0], stamp)
                except DamagedFileError as error:  # the other runs are none the worse
                    self.damaged.append(str(error))

    def _forget_what_is_gone(self) -> None:
        """Drop the runs and sweeps of this root whose folders were deleted: the files are the truth."""
        for table, name, there in (
            (schema.runs, "run_id", {run.run_id for run in self.root.runs()}),
            (schema.sweeps, "label", {sweep.path.name for sweep in self.root.sweeps()}),
        ):
            ours = select(table.c.id, table.c[name]).where(table.c.root == str(self.root.path))
            gone = [number for number, known in self.connection.execute(ours) if known not in there]
            for number in gone:
                self.connection.execute(delete(table).where(table.c.id == number))

    def _read(self, file: Path) -> Any | None:
        try:
            return read_json(file)
        except DamagedFileError as error:
            self.damaged.append(str(error))
            return None

    def _may_have_changed(self, run_id: str, state: str, known_stamp: str, stamp: str) -> bool:
        """Tell whether a run needs a look: its folder changed, or its state hangs on a process or a job."""
        asked = self.queue.knows(run_id) and state != State.COMPLETED
        return stamp != known_stamp or state in ACTIVE or asked

    def _known_runs(self) -> dict[str, tuple[int, str, str]]:
        columns = schema.runs.c.run_id, schema.runs.c.id, schema.runs.c.state, schema.runs.c.stamp
        return {run_id: (number, state, stamp) for run_id, number, state, stamp in self.connection.execute(select(*columns))}

    def _sweep(self, plan: dict[str, Any]) -> None:
        known = self.connection.execute(
            select(schema.sweeps.c.id, schema.sweeps.c.launched_at).where(schema.sweeps.c.label == plan["label"])
        ).first()
        if known is not None and known.launched_at == plan["launched_at"]:
            return
        if known is not None:
            self.connection.execute(delete(schema.sweeps).where(schema.sweeps.c.id == known.id))
        row = {key: plan[key] for key in ("label", "name", "profile", "question", "launched_at")}
        row |= {key: json.dumps(plan[key]) for key in ("baseline", "tables", "overrides")} | {"root": str(self.root.path)}
        sweep_id = self._insert(schema.sweeps, row)
        variants = [
            {"sweep_id": sweep_id, "position": i, "name": variant["name"], "overrides": json.dumps(variant["overrides"])}
            for i, variant in enumerate(plan["variants"])
        ]
        self.connection.execute(insert(schema.variants), variants)
        self.connection.execute(insert(schema.sweep_runs), [{"sweep_id": sweep_id, **run} for run in plan["runs"]])

    def _run(self, run: RunFolder, number: int, stamp: str) -> None:
        where = standing(run, self.queue)
        for attempt in run.attempts():
            self._attempt(number, attempt)
        done = read_json(run.attempt(where.attempt).done) if where.attempt else None
        self._replace(schema.summaries, number, _summaries(done or {}))
        self._replace(schema.evaluations, number, [row for one in run.evaluations() for row in _accuracies(one)])
        last_step = self.connection.scalar(select(func.max(schema.attempts.c.last_step)).where(schema.attempts.c.run == number))
        self.connection.execute(
            schema.runs.update()
            .where(schema.runs.c.id == number)
            .values(
                state=where.state.value,
                reason=where.reason,
                outcome=where.outcome,
                attempt=where.attempt,
                step=done["step"] if done else last_step,
                wall_s=done["wall_s"] if done else None,
                disk_bytes=done["disk_bytes"] if done else None,
                stamp=stamp,
            )
        )

    def _new_run(self, run: RunFolder, stamp: str) -> dict[str, Any] | None:
        """Return the row of a run that is seen for the first time; one with attempts gets its results in the same pass."""
        description = self._read(run.description)
        if description is None:
            return None
        return {
            "run_id": description["run_id"],
            "root": str(self.root.path),
            "seed": description["config"]["seed"],
            "config": json.dumps(description["canonical"]),
            "data_fingerprint": description["data"]["fingerprint"],
            "data_split": description["data"]["split"],
            "semantics": description["semantics"],
            "planned_at": description["planned_at"],
            "state": State.PLANNED.value,
            "attempt": 0,
            "stamp": stamp if stamp == _UNTOUCHED else "",
        }

    def _attempt(self, run: int, attempt: AttemptFolder) -> None:
        where = (schema.attempts.c.run == run) & (schema.attempts.c.number == attempt.number)
        known = self.connection.execute(select(schema.attempts).where(where)).mappings().first()
        row: dict[str, Any] = dict(known) if known else _empty_attempt(run, attempt)
        row |= _claim(attempt)
        reader = RecordReader(attempt.events, row["events_offset"])
        points: list[tuple[Any, ...]] = []
        for record in reader:
            self._take_in(record, row, points)
        row["events_offset"], row["skipped_lines"] = reader.offset, row["skipped_lines"] + len(reader.damage)
        if points:
            self._insert_points(points)
        self._upsert(schema.attempts, [row])

    def _take_in(self, record: dict[str, Any], row: dict[str, Any], points: list[tuple[Any, ...]]) -> None:
        kind = record["type"]
        if kind == "metrics":
            row["last_step"], row["images_per_s"] = record["step"], record["images_per_s"]
            for name, value in {**record["metrics"], "images_per_s": record["images_per_s"]}.items():
                points.append((row["run"], self._metric(name), record["step"], row["number"], *_stored(value)))
        elif kind == "start":
            row |= {"first_step": record["step"], "exact": record["exact"], "origin": json.dumps(record["origin"])}
            row["last_step"] = max(row["last_step"] or 0, record["step"])
            self.connection.execute(
                schema.runs.update().where(schema.runs.c.id == row["run"]).values(total_steps=record["total_steps"])
            )
        elif kind == "end":
            row |= {"state": record["state"], "reason": record["reason"], "ended_at": record["t"]}

    def _metric(self, name: str) -> int:
        if name not in self.metric_ids:
            self.metric_ids[name] = self._insert(schema.metrics, {"name": name})
        return self.metric_ids[name]

    def _insert_points(self, points: list[tuple[Any, ...]]) -> None:
        if self.connection.dialect.name == "sqlite":
            self.connection.exec_driver_sql(_INSERT_POINTS, points)
        else:
            names = [column.name for column in schema.points.columns]
            self._upsert(schema.points, [dict(zip(names, point, strict=True)) for point in points])

    def _insert(self, table: Table, row: dict[str, Any]) -> int:
        """Insert one row; return its number."""
        return int(self.connection.execute(insert(table).values(**row).returning(table.c.id)).scalar_one())

    def _upsert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        dialect: Any = sqlite if self.connection.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(table)
        keys = [column.name for column in table.primary_key]
        changes = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
        self.connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes), rows)

    def _replace(self, table: Table, run: int, rows: Iterable[dict[str, Any]]) -> None:
        self.connection.execute(delete(table).where(table.c.run == run))
        new = [{"run": run, **row} for row in rows]
        if new:
            self.connection.execute(insert(table), new)


def _stamp(run: RunFolder) -> str:
    """Return what changes when an attempt, its end or an evaluation comes in."""
    try:
        attempts = [entry.name for entry in os.scandir(run.path / "attempts")]
    except FileNotFoundError:
        return _UNTOUCHED
    newest = max(attempts, default="")
    return f"{len(attempts)} {_modified(run.path / 'attempts' / newest)} {_modified(run.path / 'evaluations')}"


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _empty_attempt(run: int, attempt: AttemptFolder) -> dict[str, Any]:
    row: dict[str, Any] = {column.name: None for column in schema.attempts.columns}
    return row | {"run": run, "number": attempt.number, "events_offset": 0, "skipped_lines": 0}


def _claim(attempt: AttemptFolder) -> dict[str, Any]:
    claim = read_json(attempt.claim)
    if claim is None:
        return {}
    job = claim["job"]
    return {
        "executor": job["executor"],
        "job_id": job["job_id"],
        "device": job["device"],
        "host": claim["process"]["host"],
        "claimed_at": claim["claimed_at"],
    }


def _summaries(done: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"moment": moment, "name": name, "value": _stored(value)[0]}
        for moment in ("initial", "final")
        for name, value in done.get(moment, {}).items()
    ]


def _accuracies(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    key = {"protocol": one["protocol"], "version": one["version"]}
    return [
        {**key, "network": network, "name": name, "value": value}
        for network in ("online", "target")
        for name, value in one.get(network, {}).items()
    ]


def _stored(value: Any) -> tuple[float | None, str | None]:
    """Return (value, None), or (None, name) for what is not finite."""
    number = float(value)
    return (number, None) if abs(number) < float("inf") else (None, str(number))
