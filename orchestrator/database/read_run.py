"""From the folder of a run to its rows in results.db: reads files, knows no connection."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from byol_core.files import Cursor, RecordReader, read_json
from orchestrator.database import schema
from orchestrator.store.jobs import Queue
from orchestrator.store.root import AttemptFolder, RunFolder
from orchestrator.store.standing import standing
from orchestrator.store.state import State

DatabaseRow = dict[str, Any]


Point = tuple[int, int, int, int, float | None, str | None]
"""A row of `points`, in the order of its columns: a plain tuple, since there are millions."""


@dataclass
class RunRows:
    """What a look at a run's folder found: the columns of its row that change, and rows of the
    tables below it.
    """

    run: DatabaseRow = field(default_factory=dict)
    attempts: list[DatabaseRow] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    summaries: list[DatabaseRow] = field(default_factory=list)
    evaluations: list[DatabaseRow] = field(default_factory=list)


def new_run(description: Mapping[str, Any], root: str, stamp: str) -> DatabaseRow:
    """Return the row of a run that is seen for the first time."""
    return {
        "run_id": description["run_id"],
        "root": root,
        "seed": description["config"]["seed"],
        "config": json.dumps(description["canonical"]),
        "data_fingerprint": description["data"]["fingerprint"],
        "data_split": description["data"]["split"],
        "semantics": description["semantics"],
        "planned_at": description["planned_at"],
        "state": State.PLANNED.value,
        "attempt": 0,
        "stamp": stamp,
    }


def read_run(
    run: RunFolder,
    run_number: int,
    known: Mapping[int, DatabaseRow],
    queue: Queue,
    metric_number: Mapping[str, int],
) -> RunRows:
    """Read what is new in a run's folder.

    Args:
        run: the folder.
        run_number: of the run's row.
        known: the rows of its attempts as they stand, by attempt number; their cursors say what was
            read.
        queue: what the scheduler says.
        metric_number: has a number for every name.

    Raises:
        DamagedFileError: a file of it holds no JSON.
    """
    rows = RunRows()
    where = standing(run, queue)
    total_steps = None
    for attempt in run.attempts():
        row = dict(known.get(attempt.number) or _empty_attempt(run_number, attempt.number))
        total_steps = _read_attempt(attempt, row, rows.points, metric_number) or total_steps
        rows.attempts.append(row)
    done = (read_json(run.attempt(where.attempt).done) if where.attempt else None) or {}
    rows.summaries = [{"run_number": run_number, **row} for row in _summaries(done)]
    rows.evaluations = [
        {"run_number": run_number, **row} for one in run.evaluations() for row in _accuracies(one)
    ]
    rows.run = {
        "of_run": run_number,
        "state": where.state.value,
        "reason": where.reason,
        "outcome": where.outcome,
        "attempt": where.attempt,
        "step": done["step"]
        if done
        else max((row["last_step"] or 0 for row in rows.attempts), default=None),
        "total_steps": total_steps,
        "wall_s": done.get("wall_s"),
        "disk_bytes": done.get("disk_bytes"),
        **_job(queue, run.run_id),
    }
    return rows


def _job(queue: Queue, run_id: str) -> DatabaseRow:
    """Return what is known of the run's job; nulls where it has none that waits or runs."""
    facts = queue.live.get(run_id) or queue.unknown.get(run_id)
    if facts is None:
        return dict.fromkeys(("job_id", "queue_reason", "node", "submitted_at"))
    named = {
        "job_id": facts.job_id,
        "queue_reason": facts.reason,
        "node": facts.node,
        "submitted_at": facts.submitted_at,
    }
    return {name: value or None for name, value in named.items()}


def _read_attempt(
    attempt: AttemptFolder, row: DatabaseRow, points: list[Point], metric_number: Mapping[str, int]
) -> int | None:
    """Read the new records of an attempt into its row and `points`; return the run's steps where
    they are told.
    """
    row |= _claim(attempt)
    reader = RecordReader(attempt.events, Cursor(row["events_segment"], row["events_offset"]))
    total_steps = None
    for record in reader:
        kind, row["last_at"] = record["type"], record["t"]
        if kind == "metrics":
            row["last_step"], row["images_per_s"] = record["step"], record["images_per_s"]
            values = {**record["metrics"], "images_per_s": record["images_per_s"]}
            key = row["run_number"], record["step"], attempt.number
            points += [_point(metric_number[name], *key, value) for name, value in values.items()]
        elif kind == "start":
            row |= {
                "first_step": record["step"],
                "exact": record["exact"],
                "origin": json.dumps(record["origin"]),
            }
            row["last_step"] = max(row["last_step"] or 0, record["step"])
            total_steps = record["total_steps"]
        elif kind == "end":
            row |= {"state": record["state"], "reason": record["reason"], "ended_at": record["t"]}
    row["events_segment"], row["events_offset"] = reader.cursor
    row["skipped_lines"] += len(reader.damage)
    return total_steps


def _point(metric: int, run_number: int, step: int, attempt: int, value: float) -> Point:
    return (
        (run_number, metric, step, attempt, value, None)
        if isfinite(value)
        else (run_number, metric, step, attempt, None, str(value))
    )


def _empty_attempt(run_number: int, number: int) -> DatabaseRow:
    row: DatabaseRow = {column.name: None for column in schema.attempts.columns}
    return row | {
        "run_number": run_number,
        "number": number,
        "events_segment": 0,
        "events_offset": 0,
        "skipped_lines": 0,
    }


def _claim(attempt: AttemptFolder) -> DatabaseRow:
    claim = read_json(attempt.claim)
    if claim is None:
        return {}
    job = claim["job"]
    return {
        "executor": job["executor"],
        "job_id": job["job_id"],
        "device": job["device"],
        "gpus": (job.get("asked") or {}).get("gpus"),
        "host": claim["process"]["host"],
        "claimed_at": claim["claimed_at"],
    }


def _summaries(done: Mapping[str, Any]) -> Iterator[DatabaseRow]:
    for moment in ("initial", "final"):
        for name, value in done.get(moment, {}).items():
            yield {
                "moment": moment,
                "name": name,
                "value": float(value) if isfinite(float(value)) else None,
            }


def _accuracies(one: Mapping[str, Any]) -> Iterator[DatabaseRow]:
    for network in ("online", "target"):
        for name, value in one.get(network, {}).items():
            key = {"protocol": one["protocol"], "version": one["version"], "network": network}
            yield {**key, "name": name, "value": value}
