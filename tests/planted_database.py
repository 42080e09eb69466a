"""Writes planted runs into a results.db, for tests of what reads a database beside the runs."""

import json

import planted
from sqlalchemy import insert

from orchestrator.database import schema
from orchestrator.database.connect import open_database, writing

ORIGIN = {
    "commit": "a7c46421e0f51dfeb974ecb5d0678f377721e568",
    "dirty": False,
    "trainer": "53c0e409" * 8,
    "versions": {"python": "3.11.7", "torch": "2.14.1"},
    "compute": {"device": "cpu", "kind": "AMD EPYC", "capability": "AVX512"},
}


def write(file, runs, root="/data/sweep-runs", question="Does it hold?", **attempt):
    """Write planted runs, the sweeps that ask for them, and an attempt at each; return the file.

    Facts of the attempt replace what stands there: `host`, `device`, `reason`, `origin`.
    """
    engine = open_database(str(file))
    with writing(engine) as connection:
        for number, run in enumerate(runs, start=1):
            _write_run(connection, number, run, root, attempt)
        for number, (label, of_sweep) in enumerate(_by_sweep(runs).items(), start=1):
            _write_sweep(connection, number, label, of_sweep, root, question)
    engine.dispose()
    return str(file)


def _by_sweep(runs):
    by_label = {}
    for run in runs:
        for label in run.sweeps:
            by_label.setdefault(label, []).append(run)
    return by_label


def _write_run(connection, number, run, root, attempt):
    fingerprint, split, semantics = run.data
    facts = {
        "run_number": number,
        "run_id": run.run_id,
        "root": root,
        "seed": run.seed,
        "config": json.dumps(run.config),
        "data_fingerprint": fingerprint,
        "data_split": split,
        "semantics": semantics,
        "state": run.state,
        "outcome": run.outcome,
        "reason": attempt.get("reason"),
        "attempt": 1,
        "planned_at": 1.0,
        "wall_s": 61.0,
        "excluded": run.excluded,
        "stamp": "",
    }
    connection.execute(insert(schema.runs).values(facts))
    of_attempt = {
        "run_number": number,
        "number": 1,
        "executor": "local",
        "host": "node-1",
        "device": "cpu",
        "claimed_at": 10.0,
        "ended_at": 71.0,
        "state": run.state,
        "first_step": 0,
        "exact": run.exact,
        "origin": json.dumps(ORIGIN),
        "events_segment": 0,
        "events_offset": 0,
        "skipped_lines": 0,
    }
    connection.execute(insert(schema.attempts).values(of_attempt | attempt))
    for (protocol, version, network, name), value in run.evaluations.items():
        measured = (number, protocol, version, network, name, value)
        connection.execute(insert(schema.evaluations).values(measured))
    for name, value in run.final.items():
        connection.execute(insert(schema.summaries).values((number, "final", name, value)))


def _write_sweep(connection, number, label, runs, root, question):
    _, launched_at, tables, overrides = planted._ASKED[runs[0].run_id]
    facts = {
        "id": number,
        "label": label,
        "name": label.partition("@")[0],
        "root": root,
        "profile": label.partition("@")[2] or None,
        "overrides": json.dumps(overrides),
        "question": question,
        "baseline": json.dumps("byol"),
        "tables": json.dumps(tables),
        "seeds": json.dumps(sorted({run.seed for run in runs})),
        "semantics": runs[0].data[2],
        "launched_at": launched_at,
    }
    connection.execute(insert(schema.sweeps).values(facts))
    names = {}
    for run in runs:
        config = {key: value for key, value in run.config.items() if key != "seed"}
        text = json.dumps(config, sort_keys=True)
        if text not in names:
            row = run.run_id.partition("-")[0]
            names[text] = row if row not in names.values() else f"{row}_{len(names)}"
            variant = (number, names[text], len(names), "{}", text)
            connection.execute(insert(schema.variants).values(variant))
        cell = (number, names[text], run.seed, run.run_id)
        connection.execute(insert(schema.sweep_runs).values(cell))
