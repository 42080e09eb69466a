"""Plants runs for the tests of tables: finished ones, as results.db would give them, with the sweeps
that ask for them.
"""

import json
from dataclasses import replace

from analysis.papers.rows import load_table
from analysis.results.runs import Run
from analysis.results.sweeps import SweepAsked
from analysis.tables.build import build
from analysis.tables.evidence import verdicts_of
from analysis.tables.settings import find_settings
from analysis.tables.tidy import tidy
from byol_core.config import canonical, resolve

MLP_NORM = load_table("mlp_norm")
ROWS = {
    "byol": {},
    "proj_only": {"predictor.norm": "none"},
    "no_norm": {"projector.norm": "none", "predictor.norm": "none"},
    "layer_norm": {"projector.norm": "ln", "predictor.norm": "ln"},
    "contrastive": {
        "method": "moco",
        "projector.norm": "none",
        "predictor.norm": "none",
        "optimizer.lr": 0.02,
    },
    "random": {"method": "random"},
    "simclr_bn": {"method": "simclr"},
    "simclr_none": {"method": "simclr", "projector.norm": "none"},
}
ORIGIN = {"trainer code": "c0ffee", "device": "cpu", "torch": "2"}
_ASKED = {}
"""Run id → (label, launched_at, tables, overrides) of the sweep that asks for it."""


def run(row, seed, value=0.5, **changes):
    """A run that has completed, unless the changes say otherwise."""
    overrides = {**ROWS[row], **changes.pop("overrides", {}), "seed": seed}
    spread = None if row == "random" else changes.pop("spread", 0.8) + seed / 1000
    launched_at = changes.pop("launched_at", 1000.0)
    label = "norm_ablation@quick" if launched_at == 1000.0 else "norm_ablation@later"
    label = changes.pop("sweep", label)
    asked = (
        label,
        launched_at,
        tuple(changes.pop("tables", ("mlp_norm",))),
        changes.pop("set", {}),
    )
    signs = {"std_sqrt_d": spread, "positive_cosine": 0.9, "negative_cosine": 0.2}
    line = {
        "run_number": 1,
        "run_id": f"{row}-{seed}-{json.dumps(overrides, sort_keys=True)}",
        "seed": seed,
        "state": "COMPLETED",
        "outcome": "ok",
        "config": canonical(resolve("digits-tiny", overrides)),
        "data": ("f" * 64, "as stored", 1),
        "evaluations": {("probe", 1, "online", "accuracy"): value},
        "final": {} if spread is None else signs,
        "origin": ORIGIN,
        "sweeps": [label],
    }
    merged = {**line, **changes}
    judged_by = {}
    for protocol, version, *_ in merged["evaluations"]:
        judged_by[protocol] = judged_by.get(protocol, frozenset()) | {version}
    merged.setdefault("judged_by", judged_by)
    planted = Run(**merged)
    _ASKED[planted.run_id] = asked
    return planted


def seeds_of(row, values, **changes):
    """Runs of a row with these values, at seeds 0, 1, …"""
    return [run(row, seed, value, **changes) for seed, value in enumerate(values)]


def orphan(seed, **changes):
    """A run that no sweep asks for any more."""
    planted = replace(run("byol", seed, **changes), sweeps=[])
    del _ASKED[planted.run_id]
    return planted


def sweeps_of(runs, **facts):
    """The sweeps that ask for planted runs, newest first; facts replace those of each."""
    by_label = {}
    for planted in runs:
        if planted.run_id not in _ASKED:
            continue
        label, launched_at, tables, overrides = _ASKED[planted.run_id]
        sweep = by_label.setdefault(
            label, SweepAsked(label, launched_at, tables, "byol", overrides, {}, None, {})
        )
        sweep.runs[planted.run_id, planted.seed] = planted.run_id
        by_label[label] = replace(
            sweep,
            launched_at=max(launched_at, sweep.launched_at),
            tables=tuple({*sweep.tables, *tables}),
            overrides=overrides,
        )
    planted_sweeps = [replace(sweep, **facts) for sweep in by_label.values()]
    return sorted(planted_sweeps, key=lambda sweep: -sweep.launched_at)


def table(*runs, of=MLP_NORM, setting=None, sweeps=None):
    """The table of planted runs."""
    asked = sweeps_of(runs) if sweeps is None else sweeps
    return build(of, runs, lambda some: some, setting, asked)


def settings(*runs, of=MLP_NORM):
    """The settings of planted runs."""
    return find_settings(of, runs, sweeps_of(runs))


def report(*runs, unlisted=(), **kwargs):
    """The tidy report of planted runs."""
    built = table(*runs, **kwargs)
    return tidy(built, verdicts_of(built), unlisted)


def line(built, key):
    """The line of a row."""
    return next(each for each in built.lines if each.row.key == key)


def marks(built, key):
    """The marks of a row, as text."""
    return [str(mark) for mark in line(built, key).marks]


def variants_of(*names):
    """The variants of a spec with these rows: name → canonical config without the seed."""
    configs = {name: canonical(resolve("digits-tiny", ROWS[name])) for name in names}
    return {
        name: {key: value for key, value in config.items() if key != "seed"}
        for name, config in configs.items()
    }
