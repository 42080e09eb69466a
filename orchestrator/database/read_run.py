"""Reads the folder of a run into rows for results.db; knows no connection."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from byol_core.files import Cursor
from orchestrator.database import schema
from orchestrator.store.device import device_used
from orchestrator.store.jobs import Queue
from orchestrator.store.retry import AUTOMATIC, held_back
from orchestrator.store.root import AttemptFolder, RunFolder
from orchestrator.store.standing import standing
from orchestrator.store.state import State

DatabaseRow = dict[str, Any]

_OF_JOB = ("job_id", "queue_reason", "node", "submitted_at")

Point = tuple[int, int, int, int, float | None, str | None]
"""A row of `points`, in the order of its columns: a plain tuple, since there are millions."""


@dataclass
class RunRows:
    """Holds what is new of a run: in `run` the columns that change, else whole rows."""

    run: DatabaseRow = field(default_factory=dict)
    attempts: list[DatabaseRow] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    summaries: list[DatabaseRow] = field(default_factory=list)
    evaluations: list[DatabaseRow] = field(default_factory=list)
    annotations: list[DatabaseRow] = field(default_factory=list)


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


def damaged_run(run_number: int, reason: str) -> RunRows:
    """Return the rows of a run of which a file cannot be read: it is set aside until that is mended.

    Args:
        run_number: of the run's row.
        reason: names the file.
    """
    columns = ("held_back", "outcome", "step", "total_steps", "wall_s", "test_images", "disk_bytes")
    row: DatabaseRow = dict.fromkeys((*columns, *_OF_JOB))
    row |= {"of_run": run_number, "state": State.FAILED.value, "reason": reason}
    return RunRows(row | {"attempt": 0, "stamp": ""})


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
        DamagedFileError: a file of it holds something else than its writer put into it.
    """
    rows = RunRows()
    run_standing = standing(run, queue)

    # What happened while it ran, of every attempt.
    total_steps = None
    for attempt in run.attempts():
        row = dict(known.get(attempt.number) or _empty_attempt(run_number, attempt.number))
        total_steps = _read_attempt(attempt, row, rows.points, metric_number) or total_steps
        rows.attempts.append(row)

    # Its results, of the attempt that alone counts.
    done: Mapping[str, Any] = {}
    if run_standing.attempt:
        done = run.attempt(run_standing.attempt).read_done() or {}
    rows.summaries = list(_summaries(done, run_number))
    evaluations = [*run.evaluations()]
    for evaluation in evaluations:
        rows.evaluations += _accuracies(evaluation, run_number)

    # Its own row: one that is done says itself where it ended.
    step = max((row["last_step"] or 0 for row in rows.attempts), default=None)
    if done:
        step = done.get("step", step)
    rows.run = {
        "of_run": run_number,
        "state": run_standing.state.value,
        "reason": run_standing.reason,
        "held_back": _held_back(run, run_standing.state),
        "outcome": run_standing.outcome,
        "attempt": run_standing.attempt,
        "step": step,
        "total_steps": total_steps,
        "wall_s": done.get("wall_s"),
        "test_images": _test_images(evaluations),
        "disk_bytes": done.get("disk_bytes"),
    }
    rows.run |= _job(queue, run.run_id)
    return rows


def _job(queue: Queue, run_id: str) -> DatabaseRow:
    """Return what is known of the run's job; nulls where it has none that waits or runs."""
    facts = queue.live.get(run_id) or queue.unknown.get(run_id)
    if facts is None:
        return dict.fromkeys(_OF_JOB)
    job = {
        "job_id": facts.job_id,
        "queue_reason": facts.reason,
        "node": facts.node,
        "submitted_at": facts.submitted_at,
    }
    return {name: value or None for name, value in job.items()}


def _read_attempt(
    attempt: AttemptFolder, row: DatabaseRow, points: list[Point], metric_number: Mapping[str, int]
) -> int | None:
    """Read the new records of an attempt into its row and `points`.

    Returns:
        The steps of the whole run, where a new record says them.
    """
    row |= _claim(attempt)
    reader = attempt.read_events(Cursor(row["events_segment"], row["events_offset"]))
    total_steps = None
    for record in reader:
        row["last_at"] = record.get("t")
        kind = record["type"]
        if kind == "metrics":
            row["last_step"] = record["step"]
            row["images_per_s"] = record["images_per_s"]
            points += _points(record, row["run_number"], attempt.number, metric_number)
        elif kind == "start":
            row["first_step"] = record["step"]
            row["last_step"] = max(row["last_step"] or 0, record["step"])
            row["exact"] = record["exact"]
            row["origin"] = json.dumps(record["origin"])
            row["device"] = device_used(record["origin"], attempt.read_claim())
            total_steps = record["total_steps"]
        elif kind == "end":
            row["state"] = record["state"]
            row["reason"] = record["reason"]
            row["ended_at"] = record.get("t")

    # The cursor is written with what was read up to it, so that no line counts twice or never.
    row["events_segment"], row["events_offset"] = reader.cursor
    row["skipped_lines"] += len(reader.damage)
    return total_steps


def _points(
    record: Mapping[str, Any], run_number: int, attempt: int, metric_number: Mapping[str, int]
) -> Iterator[Point]:
    """Yield a point for each metric of a record; the speed is one of them."""
    step = record["step"]
    for name, value in {**record["metrics"], "images_per_s": record["images_per_s"]}.items():
        if isfinite(value):
            yield run_number, metric_number[name], step, attempt, value, None
        else:
            yield run_number, metric_number[name], step, attempt, None, str(value)


def _empty_attempt(run_number: int, number: int) -> DatabaseRow:
    """Return the row of an attempt of which nothing was read yet."""
    row: DatabaseRow = {column.name: None for column in schema.attempts.columns}
    return row | {
        "run_number": run_number,
        "number": number,
        "events_segment": 0,
        "events_offset": 0,
        "skipped_lines": 0,
    }


def _held_back(run: RunFolder, state: State) -> str | None:
    """Return why a run waits to be asked for that in its state would usually go on."""
    return held_back(run, state) if state in AUTOMATIC else None


def _claim(attempt: AttemptFolder) -> DatabaseRow:
    """Return who works at an attempt, and where; nothing before it is claimed."""
    claim = attempt.read_claim()
    if claim is None:
        return {}
    job = claim["job"]
    return {
        "executor": job["executor"],
        "job_id": job["job_id"],
        "gpus": (job.get("asked") or {}).get("gpus"),
        "host": claim["process"]["host"],
        "user": claim.get("user"),
        "claimed_at": claim["claimed_at"],
    }


def _summaries(done: Mapping[str, Any], run_number: int) -> Iterator[DatabaseRow]:
    for moment in ("initial", "final"):
        for name, stored in done.get(moment, {}).items():
            value = float(stored)
            yield {
                "run_number": run_number,
                "moment": moment,
                "name": name,
                "value": value if isfinite(value) else None,
            }


def _test_images(evaluations: Sequence[Mapping[str, Any]]) -> int | None:
    """Return how many test images a run was judged on; the fewest of its evaluations."""
    counts = [evaluation.get("images", {}).get("test") for evaluation in evaluations]
    return min((count for count in counts if count), default=None)


def _accuracies(evaluation: Mapping[str, Any], run_number: int) -> Iterator[DatabaseRow]:
    for network in ("online", "target"):
        for name, value in evaluation.get(network, {}).items():
            yield {
                "run_number": run_number,
                "protocol": evaluation["protocol"],
                "version": evaluation["version"],
                "network": network,
                "name": name,
                "value": value,
            }
