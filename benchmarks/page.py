"""Measures the page of all tables: its time and its size, for a database of 10,000 runs.

Usage: python benchmarks/page.py [--runs 10000]. Every table that runs can fill has all its rows, five
seeds each, at as many settings as make up the number of runs.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from analysis.page.files import page_files
from analysis.papers.rows import TableRow, load_table, run_table_ids
from byol_core.config import ConfigError, DataIdentity, canonical, resolve, run_id_of
from orchestrator.database import schema
from orchestrator.database.connect import open_database, writing

SEEDS = 5
DATA = DataIdentity("f" * 64, "as stored", 1797)
ORIGIN = {
    "commit": "a7c46421e0f51dfeb974ecb5d0678f377721e568",
    "dirty": False,
    "trainer": "53c0e409" * 8,
    "versions": {"python": "3.11.7", "torch": "2.14.1", "numpy": "2.4.6"},
    "compute": {"device": "cuda", "kind": "NVIDIA A100-SXM4-80GB", "capability": "8.0"},
}


def main() -> None:
    """Make the database, then the page twice; print what the second one took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    wanted = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder) / "results.db")
        runs = fill(database, wanted)
        next(page_files(database))  # loads every module once
        began = time.perf_counter(), time.process_time()
        for name, content in page_files(database):
            if name.suffix == ".html":
                page_s = time.perf_counter() - began[0]
                size = len(content)
        whole_s = time.perf_counter() - began[0]
        cpu_s = time.process_time() - began[1]
    print(
        f"{runs:,} runs: page {page_s:.1f} s, {size / 1e6:.2f} MB; with all files {whole_s:.1f} s"
    )
    print(f"processor time of all {cpu_s:.1f} s, {sys.platform}, Python {sys.version.split()[0]}")


def fill(database: str, wanted: int) -> int:
    """Write about so many runs; return how many."""
    engine = open_database(database)
    written: set[str] = set()
    with writing(engine) as connection:
        for setting in range(1_000):
            for number, name in enumerate(run_table_ids(), start=1):
                sweep = setting * 100 + number
                _write_sweep(connection, sweep, name, setting)
                _write_table(connection, sweep, name, setting, written)
                if len(written) >= wanted:
                    return len(written)
    return len(written)


def _configs(name: str, setting: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield row → settings of a table's rows; a setting is a count of epochs."""
    for key, row in load_table(name).rows.items():
        try:
            yield key, _overrides(row) | {"epochs": 60 + setting}
        except ConfigError:
            continue


def _overrides(row: TableRow) -> dict[str, Any]:
    return {
        key: value["any"][0] if isinstance(value, dict) else value
        for key, value in row.match.items()
        if value is not None
    }


def _write_table(
    connection: Connection, sweep: int, name: str, setting: int, written: set[str]
) -> None:
    for position, (key, overrides) in enumerate(_configs(name, setting)):
        try:
            config = canonical(resolve("digits-tiny", overrides), DATA.images)
        except ConfigError:
            continue
        plain = {name: value for name, value in config.items() if name != "seed"}
        variant = (sweep, key, position, json.dumps(overrides), json.dumps(plain))
        connection.execute(insert(schema.variants).values(variant))
        for seed in range(SEEDS):
            run_id = run_id_of(config | {"seed": seed}, DATA)
            connection.execute(insert(schema.sweep_runs).values((sweep, key, seed, run_id)))
            if run_id not in written:
                written.add(run_id)
                _write_run(connection, len(written), run_id, seed, config | {"seed": seed})


def _write_sweep(connection: Connection, number: int, name: str, setting: int) -> None:
    sweep = {
        "id": number,
        "label": f"{name}+epochs={60 + setting}",
        "name": name,
        "root": "/data/sweep-runs",
        "overrides": "{}",
        "question": f"What does table {name} say after {60 + setting} epochs?",
        "baseline": '"byol"',
        "tables": json.dumps([name]),
        "seeds": json.dumps([*range(SEEDS)]),
        "launched_at": 1.79e9 - setting * 1000 - number,
    }
    connection.execute(insert(schema.sweeps).values(sweep))


def _write_run(
    connection: Connection, number: int, run_id: str, seed: int, config: dict[str, Any]
) -> None:
    run = {
        "run_number": number,
        "run_id": run_id,
        "root": "/data/sweep-runs",
        "seed": seed,
        "config": json.dumps(config),
        "data_fingerprint": DATA.fingerprint,
        "data_split": "as stored",
        "semantics": 2,
        "state": "COMPLETED",
        "outcome": "ok",
        "test_images": 360,
        "attempt": 1,
        "planned_at": 1.0,
        "wall_s": 61.0,
        "stamp": "",
    }
    connection.execute(insert(schema.runs).values(run))
    attempt = {
        "run_number": number,
        "number": 1,
        "executor": "slurm",
        "job_id": f"{number}_1",
        "host": f"node-{number % 40}",
        "device": "cuda",
        "claimed_at": 1.0,
        "ended_at": 62.0,
        "state": "COMPLETED",
        "first_step": 0,
        "exact": True,
        "origin": json.dumps(ORIGIN),
        "events_segment": 0,
        "events_offset": 0,
        "skipped_lines": 0,
    }
    connection.execute(insert(schema.attempts).values(attempt))
    accuracy = 0.3 + (int(run_id[:4], 16) % 600) / 1000
    for protocol in ("probe", "knn"):
        measured = (number, protocol, 2, "online", "accuracy", accuracy)
        connection.execute(insert(schema.evaluations).values(measured))
    for sign in ("loss", "std_sqrt_d", "positive_cosine", "negative_cosine", "effective_rank"):
        connection.execute(insert(schema.summaries).values((number, "final", sign, accuracy)))


if __name__ == "__main__":
    main()
