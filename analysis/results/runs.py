"""Reads results.db as the tables want it: a `Run` for each run, and the results of those shown.

Loads no pandas.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, select

from orchestrator.database.schema import attempts, evaluations, runs, summaries, sweep_runs, sweeps
from orchestrator.store.settings import settings_today

Evaluation = tuple[str, int, str, str]
"""Protocol, version, network, name."""

_COLUMNS = (
    "run_number",
    "run_id",
    "seed",
    "state",
    "outcome",
    "config",
    "data_fingerprint",
    "data_split",
    "semantics",
    "test_images",
    "excluded",
)
"""What is read of every run: not the texts that only lists of runs show."""
_AT_ONCE = 500
"""The number of runs that one query names."""


@dataclass(frozen=True, slots=True)
class Run:
    """All that the tables need to know of one run.

    Attributes:
        run_number: of its row.
        run_id: the whole id.
        seed: of the run.
        state: COMPLETED, RUNNING, …
        outcome: `ok` or `diverged` of a COMPLETED run, else None.
        config: canonical, dotted keys, in today's words, without the seed; one mapping for all runs
            of a variant.
        data: fingerprint and split of its data set, and the semantics of its trainer.
        sweeps: labels of the sweeps that ask for it, newest first.
        judged_by: protocol → the versions of it that have judged the run.
        evaluations: measure → value. This and what follows are empty unless `with_results` filled
            them in.
        final: sign of collapse → mean over the last epoch.
        origin: what the attempt that counts ran with, by the words that a mark uses; empty before
            it started.
        exact: false where it went on, or an attempt before it did, from a checkpoint that was made
            with another trainer, library or device.
        test_images: that its accuracies are of; None where that is not recorded.
        excluded: why people left it out of tables; None where they did not.
    """

    run_number: int
    run_id: str
    seed: int
    state: str
    outcome: str | None
    config: Mapping[str, Any]
    data: tuple[str, str, int]
    sweeps: Sequence[str] = ()
    judged_by: Mapping[str, frozenset[int]] = field(default_factory=dict)
    evaluations: Mapping[Evaluation, float] = field(default_factory=dict)
    final: Mapping[str, float] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    exact: bool = True
    test_images: int | None = None
    excluded: str | None = None


def read_runs(connection: Connection) -> list[Run]:
    """Return the runs of a database, without results; not those of forgotten sweeps alone."""
    labels = _labels(connection)
    forgotten = _asked_for_by_forgotten(connection) - labels.keys()
    versions = _versions(connection)
    settings = _Settings()
    every_run: list[Run] = []
    columns = [runs.c[name] for name in _COLUMNS]
    for row in connection.execute(select(*columns).order_by(runs.c.run_number)).all():
        # Taken apart at once: a name costs more than a place, and there are many runs.
        number, run_id, seed, state, outcome, config, *data, semantics, images, excluded = row
        if run_id in forgotten:
            continue
        run = Run(
            run_number=number,
            run_id=run_id,
            seed=seed,
            state=state,
            outcome=outcome,
            config=settings.of_run(config, seed, semantics),
            data=(*data, semantics),
            sweeps=labels.get(run_id, ()),
            judged_by=versions.get(number, {}),
            test_images=images,
            excluded=excluded,
        )
        every_run.append(run)
    return every_run


class _Settings:
    """Reads the settings of runs; the runs of a variant differ in the seed, and are parsed once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Mapping[str, Any]] = {}

    def of_run(self, config: str, seed: int, semantics: int) -> Mapping[str, Any]:
        """Return the settings that a run's row holds, in today's words."""
        text = config
        own_seed = f'"seed": {seed}'
        if config.count(own_seed) == 1:
            text = config.replace(own_seed, '"seed": null')

        if (text, semantics) not in self._known:
            stated = settings_today(json.loads(text), semantics)
            settings = {key: value for key, value in stated.items() if key != "seed"}
            self._known[text, semantics] = settings
        return self._known[text, semantics]


def _versions(connection: Connection) -> dict[int, dict[str, frozenset[int]]]:
    """Return run → protocol → the versions that have judged it."""
    table = evaluations.c
    query = select(table.run_number, table.protocol, table.version).distinct()
    by_run: dict[int, dict[str, frozenset[int]]] = {}
    for run, protocol, version in connection.execute(query).all():
        of_run = by_run.setdefault(run, {})
        of_run[protocol] = of_run.get(protocol, frozenset()) | {version}
    return by_run


def with_results(connection: Connection, some: Sequence[Run]) -> list[Run]:
    """Return the same runs with what came of them."""
    # In parts: each query names its runs, and a database limits how many values it takes.
    complete: list[Run] = []
    for start in range(0, len(some), _AT_ONCE):
        chunk = some[start : start + _AT_ONCE]
        numbers = [run.run_number for run in chunk]
        evaluated = _evaluations(connection, numbers)
        final = _final(connection, numbers)
        origins = _origins(connection, numbers)
        inexact = _inexact(connection, numbers)
        complete += [
            replace(
                run,
                evaluations=evaluated.get(run.run_number, {}),
                final=final.get(run.run_number, {}),
                origin=origins.get(run.run_number, {}),
                exact=run.run_number not in inexact,
            )
            for run in chunk
        ]
    return complete


def _evaluations(
    connection: Connection, numbers: Sequence[int]
) -> dict[int, dict[Evaluation, float]]:
    table = evaluations.c
    query = select(
        table.run_number, table.protocol, table.version, table.network, table.name, table.value
    ).where(table.run_number.in_(numbers))
    by_run: dict[int, dict[Evaluation, float]] = {}
    for run, protocol, version, network, name, value in connection.execute(query).all():
        by_run.setdefault(run, {})[protocol, version, network, name] = _number(value)
    return by_run


def _final(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, float]]:
    table = summaries.c
    query = select(table.run_number, table.name, table.value).where(
        (table.moment == "final") & table.run_number.in_(numbers)
    )
    by_run: dict[int, dict[str, float]] = {}
    for run, name, value in connection.execute(query).all():
        by_run.setdefault(run, {})[name] = _number(value)
    return by_run


def _number(stored: float | None) -> float:
    """Return a value as it was measured: one that is not finite is stored as null."""
    if stored is None:
        return math.nan
    return stored


def _origins(connection: Connection, numbers: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """Return where the attempt that counts came from."""
    query = (
        select(attempts.c.run_number, attempts.c.origin, attempts.c.device)
        .join(
            runs,
            (runs.c.run_number == attempts.c.run_number) & (runs.c.attempt == attempts.c.number),
        )
        .where(attempts.c.origin.is_not(None) & attempts.c.run_number.in_(numbers))
    )
    return {run: _origin(facts, device) for run, facts, device in connection.execute(query).all()}


def _origin(facts: str, device: str | None) -> Mapping[str, Any]:
    """Return what may differ between the runs of a line: trainer, device, versions.

    Commit and changes are no part of it: they differ with a word in a comment too.
    """
    stored = json.loads(facts)
    compute = stored.get("compute") or _compute_of_older(stored, device)
    return {
        "trainer code": stored.get("trainer") or stored.get("code") or stored.get("commit"),
        "compute path": compute.get("path", "plain"),  # before it was recorded there was no other
        "device": compute["device"],
        "device model": compute["kind"],
        "processor capability": compute["capability"],
        **stored["versions"],
    }


def _compute_of_older(stored: Mapping[str, Any], device: str | None) -> Mapping[str, Any]:
    """Return what an older attempt computed on; where it left that open, its GPUs tell."""
    gpus = stored.get("gpus")
    if device is None:
        device = "cuda" if gpus else "cpu"
    model = ", ".join(sorted(set(gpus["names"]))) if gpus and device == "cuda" else None
    return {"device": device, "kind": model, "capability": None}


def _inexact(connection: Connection, numbers: Sequence[int]) -> set[int]:
    """Return the runs whose result hangs on an inexact resume."""
    columns = (attempts.c.run_number, attempts.c.first_step, attempts.c.exact)
    in_order = select(*columns).order_by(attempts.c.run_number, attempts.c.number)
    inexact: set[int] = set()
    for run, first_step, exact in connection.execute(
        in_order.where(attempts.c.run_number.in_(numbers))
    ).all():
        # What begins anew takes nothing from the attempts before it.
        if first_step == 0:
            inexact.discard(run)
        if exact is False:
            inexact.add(run)
    return inexact


def _labels(connection: Connection) -> dict[str, list[str]]:
    """Return run id → the sweeps that ask for it, newest first; one that is forgotten does not."""
    shown = select(sweeps.c.id, sweeps.c.label).where(sweeps.c.forgotten_at.is_(None))
    newest_first = shown.order_by(sweeps.c.launched_at.desc(), sweeps.c.id.desc())
    labels: dict[str, list[str]] = {}
    for sweep_id, label in connection.execute(newest_first).all():
        run_ids = select(sweep_runs.c.run_id).where(sweep_runs.c.sweep_id == sweep_id).distinct()
        for run_id in connection.scalars(run_ids):
            labels.setdefault(run_id, []).append(label)
    return labels


def _asked_for_by_forgotten(connection: Connection) -> set[str]:
    """Return the ids of runs that forgotten sweeps asked for."""
    query = (
        select(sweep_runs.c.run_id)
        .join(sweeps, sweeps.c.id == sweep_runs.c.sweep_id)
        .where(sweeps.c.forgotten_at.is_not(None))
    )
    return set(connection.scalars(query))
