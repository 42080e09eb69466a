"""Reads where results come from: the attempts at runs, and the sweeps that asked for these runs.

Loads no pandas.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from analysis.results.runs import Run
from orchestrator.database.schema import attempts, runs, sweep_runs, sweeps

_AT_ONCE = 500
"""The number of runs that one query names."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a run; what was not recorded is None.

    Attributes:
        number: from 1 on.
        state: how it ended, or RUNNING; None before its first record.
        reason: of that state.
        executor: slurm, local or inline.
        job_id: of the scheduler.
        host: where it ran.
        device: what it computed on, with the model where that is known.
        commit: of the code that ran.
        is_changed: whether that code had uncommitted changes.
        trainer: digest of the modules that train and evaluate.
        wall_s: from its claim to its last record.
        is_exact: false where it went on from a checkpoint of another trainer or machine.
    """

    number: int
    state: str | None
    reason: str | None
    executor: str | None
    job_id: str | None
    host: str | None
    device: str | None
    commit: str | None
    is_changed: bool | None
    trainer: str | None
    wall_s: float | None
    is_exact: bool | None


@dataclass(frozen=True, slots=True)
class Launched:
    """A sweep that was launched.

    Attributes:
        label: its name, profile and overrides together.
        root: the folder of its runs.
        profile: of its spec, None without.
        overrides: of `--set`.
        question: as its spec asks it.
        launched_at: the last time, in seconds since 1970.
    """

    label: str
    root: str
    profile: str | None
    overrides: Mapping[str, Any]
    question: str
    launched_at: float


@dataclass(frozen=True, slots=True)
class Request:
    """A variant of a launched sweep at one seed, which asks for a run."""

    sweep: Launched
    variant: str
    seed: int


@dataclass(frozen=True)
class Provenance:
    """Where the results of some runs come from.

    Attributes:
        attempts: run id → its attempts, the first one first.
        requests: run id → what asks for it, the newest sweep first.
        wall_s: run id → the time that it took.
        reasons: run id → why it is in its state.
    """

    attempts: Mapping[str, Sequence[Attempt]]
    requests: Mapping[str, Sequence[Request]]
    wall_s: Mapping[str, float]
    reasons: Mapping[str, str]


def read_launched(connection: Connection) -> list[Launched]:
    """Return the sweeps of a database, newest first; not those that people forgot."""
    return [*_launched(connection).values()]


def read_provenance(connection: Connection, some: Sequence[Run]) -> Provenance:
    """Return where the results of these runs come from."""
    tries: dict[str, list[Attempt]] = {}
    requests: dict[str, list[Request]] = {}
    wall_s: dict[str, float] = {}
    reasons: dict[str, str] = {}

    launched = _launched(connection)

    # In parts: each query names its runs, and a database limits how many values it takes.
    for start in range(0, len(some), _AT_ONCE):
        chunk = some[start : start + _AT_ONCE]
        ids = {run.run_number: run.run_id for run in chunk}
        for number, attempt in _attempts(connection, [*ids]):
            tries.setdefault(ids[number], []).append(attempt)
        for run_id, request in _requests(connection, launched, [*ids.values()]):
            requests.setdefault(run_id, []).append(request)

        query = select(runs.c.run_id, runs.c.wall_s, runs.c.reason)
        of_chunk = query.where(runs.c.run_number.in_([*ids]))
        for run_id, seconds, reason in connection.execute(of_chunk).all():
            if seconds is not None:
                wall_s[run_id] = seconds
            if reason is not None:
                reasons[run_id] = reason
    return Provenance(tries, requests, wall_s, reasons)


def _attempts(connection: Connection, numbers: Sequence[int]) -> Iterator[tuple[int, Attempt]]:
    """Yield the attempts at these runs, in their order."""
    in_order = select(attempts).order_by(attempts.c.run_number, attempts.c.number)
    for row in connection.execute(in_order.where(attempts.c.run_number.in_(numbers))).all():
        origin = json.loads(row.origin) if row.origin else {}
        attempt = Attempt(
            number=row.number,
            state=row.state,
            reason=row.reason,
            executor=row.executor,
            job_id=row.job_id,
            host=row.host,
            device=_device(row.device, origin),
            commit=origin.get("commit"),
            is_changed=origin.get("dirty"),
            trainer=origin.get("trainer"),
            wall_s=_seconds(row.claimed_at, row.ended_at or row.last_at),
            is_exact=row.exact,
        )
        yield row.run_number, attempt


def _device(device: str | None, origin: Mapping[str, Any]) -> str | None:
    """Return what an attempt computed on, with its model: `cuda, NVIDIA A100`."""
    compute = origin.get("compute") or {}
    known = [word for word in (compute.get("device") or device, compute.get("kind")) if word]
    return ", ".join(known) or None


def _seconds(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(0.0, end - start)


def _requests(
    connection: Connection, launched: Mapping[int, Launched], ids: Sequence[str]
) -> Iterator[tuple[str, Request]]:
    """Yield what asks for these runs, the newest sweep first."""
    cells = sweep_runs.c
    query = (
        select(cells.run_id, cells.sweep_id, cells.variant, cells.seed)
        .join(sweeps, sweeps.c.id == cells.sweep_id)
        .where(cells.run_id.in_(ids))
        .order_by(sweeps.c.launched_at.desc(), sweeps.c.id.desc(), cells.variant)
    )
    for run_id, sweep_id, variant, seed in connection.execute(query).all():
        if sweep_id in launched:
            yield run_id, Request(launched[sweep_id], variant, seed)


def _launched(connection: Connection) -> dict[int, Launched]:
    """Return the sweeps by their numbers, newest first."""
    shown = select(sweeps).where(sweeps.c.forgotten_at.is_(None))
    newest_first = shown.order_by(sweeps.c.launched_at.desc(), sweeps.c.id.desc())
    return {
        row.id: Launched(
            label=row.label,
            root=row.root,
            profile=row.profile,
            overrides=json.loads(row.overrides),
            question=row.question,
            launched_at=row.launched_at,
        )
        for row in connection.execute(newest_first).all()
    }
