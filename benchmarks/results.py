"""Speed of everything between a logged step and a report: ``python benchmarks/results.py [--small]
[--rivals wandb,aim,…] [--keep DIR]``.

Logging a step of eight metrics, against the rivals that are installed, in turn; points from event
logs into SQLite, beside what plain sqlite3 does; then status, report and rebuild from the shell as
roots grow. With --keep, only the commands on the largest root, which is made in DIR the first time
and stays there for the next. Prints machine, versions and tables.
"""

import argparse
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

from rivals import RIVALS
from synthetic import NAMES, POINTS_A_STEP, make_root, metrics_at

from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.provenance.origin import versions
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        steps: logged by the fastest.
        repeats: turns that each gets.
        collected: (runs, points a run) that are collected.
        grown: the same for each root that the commands see.
    """

    steps: int
    repeats: int
    collected: tuple[int, int]
    grown: Sequence[tuple[int, int]]


FULL = Sizes(20_000, 5, (200, 9_000), ((1_000, 1_000), (10_000, 1_000)))
SMALL = Sizes(1_000, 2, (20, 900), ((20, 180), (40, 180)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--small",
        action="store_true",
        help="a minute, to see that it runs; the figures mean nothing",
    )
    parser.add_argument(
        "--rivals", help="modules, e.g. wandb,aim; all that are installed where left out"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        help="time only the commands, on a root that is made in this folder once",
    )
    arguments = parser.parse_args()
    sizes = SMALL if arguments.small else FULL
    print(
        f"{platform.processor() or platform.machine()}, {platform.platform()}, {versions()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )
    if arguments.keep is not None:
        runs, points = sizes.grown[-1]
        use_kept(arguments.keep, runs, points, sizes.repeats)
        return
    log_steps(sizes, arguments.rivals.split(",") if arguments.rivals is not None else None)
    collect_points(sizes)
    for runs, points in sizes.grown:
        with tempfile.TemporaryDirectory() as name:
            use_commands(make_root(Path(name), runs, points), runs, points, sizes.repeats)


def log_steps(sizes: Sizes, modules: Sequence[str] | None) -> None:
    """Print the time of one step: what the caller waits, and with closing, when all is in the
    store.
    """
    names = [
        name
        for name, (_, module, _) in RIVALS.items()
        if modules is None or module in {*modules, "byol_core"}
    ]
    missing = [name for name in names if find_spec(RIVALS[name][1]) is None]
    times: dict[str, list[tuple[float, float]]] = {
        name: [] for name in names if name not in missing
    }
    for _ in range(sizes.repeats):
        for name, found in times.items():  # in turn, so that a busy moment hits all alike
            found.append(_log(name, sizes.steps))
    print(
        f"\nlogging a step of {len(NAMES)} metrics, median of {sizes.repeats}: µs a step, µs with "
        f"closing, points a second"
    )
    for name, found in times.items():
        waited, closed = (statistics.median(column) for column in zip(*found, strict=True))
        print(
            f"{name:16} {_version(RIVALS[name][1]):12} {1e6 * waited:10,.1f} "
            f"{1e6 * closed:10,.1f} {len(NAMES) / closed:12,.0f}"
        )
    if missing:
        print(f"not installed: {', '.join(missing)}; pip install 'byol-sweeps[bench]'")


def _log(name: str, steps: int) -> tuple[float, float]:
    """Return seconds a step, without and with closing the store, in a process that leaves nothing
    to the next.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, get_context("spawn")) as own_process,
    ):
        return own_process.submit(_log_here, name, steps // RIVALS[name][2], Path(folder)).result()


def _log_here(name: str, steps: int, folder: Path) -> tuple[float, float]:
    metrics = [metrics_at(step) for step in range(steps)]
    with RIVALS[name][0](folder) as log:
        log(0, metrics[0])  # what is made on the first call is no cost of a step
        started = time.perf_counter()
        for step in range(1, steps):
            log(step, metrics[step])
        waited = time.perf_counter() - started
    closed = time.perf_counter() - started
    return waited / (steps - 1), closed / (steps - 1)


def _version(module: str) -> str:
    return version(packages_distributions().get(module, ["byol-sweeps"])[0])


def collect_points(sizes: Sizes) -> None:
    """Print how fast event logs move into a database, beside plain inserts of the same rows."""
    runs, points = sizes.collected
    print(
        f"\npoints into SQLite, {runs} runs of {points:,} points, median of {sizes.repeats}: points a second"
    )
    with tempfile.TemporaryDirectory() as name:
        root = make_root(Path(name), runs, points)
        found: dict[str, list[float]] = {"collect": [], "plain sqlite3": []}
        for turn in range(sizes.repeats):
            database = Path(name) / f"{turn}.db"
            found["collect"].append(_collect(root, database))
            found["plain sqlite3"].append(_copy(database, Path(name) / f"{turn}-copy.db"))
    for what, rates in found.items():
        print(f"{what:16} {statistics.median(rates):12,.0f}")


def _collect(root: Root, database: Path) -> float:
    engine = open_database(str(database))
    started = time.perf_counter()
    collect(root, engine, Queue())
    wall_s = time.perf_counter() - started
    engine.dispose()
    with sqlite3.connect(database) as connection:
        return int(connection.execute("SELECT count(*) FROM points").fetchone()[0]) / wall_s


def _copy(database: Path, copy: Path) -> float:
    """Insert the same rows into a bare table; that is as fast as Python's sqlite3 can be."""
    rows = (
        sqlite3.connect(database)
        .execute("SELECT run_number, metric, step, attempt, value, non_finite FROM points")
        .fetchall()
    )
    connection = sqlite3.connect(copy)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(
        "CREATE TABLE points (run, metric, step, attempt, value, non_finite, PRIMARY KEY (run, metric, step, attempt)) "
        "WITHOUT ROWID"
    )
    started = time.perf_counter()
    with connection:
        connection.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?)", rows)
    wall_s = time.perf_counter() - started
    connection.close()
    return len(rows) / wall_s


def use_commands(root: Root, runs: int, points: int, repeats: int) -> None:
    """Print the seconds of status, report, export and rebuild, from the shell."""
    folder = root.path.parent
    _print_size(runs, points, repeats)
    _command(folder, 1, "rebuild")
    _look(folder, repeats)
    _command(folder, 1, "export", "--out", "exported")


def use_kept(folder: Path, runs: int, points: int, repeats: int) -> None:
    """Print the seconds of what looks, on a root that is made where there is none yet."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "sweep-runs").exists():
        make_root(folder, runs, points)
    _print_size(runs, points, repeats)
    _command(folder, 1, "status")  # collects what is new
    _look(folder, repeats)


def _look(folder: Path, repeats: int) -> None:
    for words in (["status"], ["report"], ["report", "--table", "mlp_norm"]):
        _command(folder, repeats, *words)
    _command(folder, 1, "report", "--all", "--out", "page")


def _print_size(runs: int, points: int, repeats: int) -> None:
    real = points // POINTS_A_STEP * POINTS_A_STEP
    print(
        f"\n{runs:,} runs of {real:,} points, {runs * real:,} in all: seconds, "
        f"median of {repeats} (all)"
    )


def _command(folder: Path, repeats: int, *words: str) -> None:
    wall_s = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", *words],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        wall_s.append(time.perf_counter() - started)
    print(
        f"{' '.join(words):28} {statistics.median(wall_s):8.2f}  ({'  '.join(f'{one:.2f}' for one in wall_s)})"
    )


if __name__ == "__main__":
    main()
