"""Measures training: images a second, and what becomes of the time, beside other trainers.

    python benchmarks/throughput.py --cases digits-tiny,r18-32-7x7 --rivals lightly --out DIR
    python benchmarks/throughput.py --cases r18-32 --batches 64,512,4096 --runs 1,2,4
    python benchmarks/throughput.py --show DIR      the tables of an earlier call, as Markdown

Each trainer has a process of its own; ours and the other take turns on the same random pictures.
Every call writes a JSON file for each case, with all times, and prints a table. The others come
with the extra: pip install 'byol-sweeps[rivals]'. What the figures mean: docs/performance.md.
"""

import argparse
import os
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import torch
from trainers.cases import CASES, MODES, OURS, RIVALS, Case
from trainers.report import (
    MARKS,
    as_text,
    file_name,
    put_between_marks,
    read_results,
    write_result,
)
from trainers.turns import AnswerError, Contestant, contestant

_PHASE_STEPS = 10
"""One in ten steps is measured, as in training."""
_FEWEST_PHASE_STEPS = 3


def measure(case: Case, given: argparse.Namespace, size: dict[str, Any], end_s: float) -> Any:
    """Return all that is to be known of a case at a size, ready for JSON."""
    result: dict[str, Any] = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "case": case.name,
        "what": case.what,
        "settings": {**size, **_settings(case, given, size["runs"]), "seconds": given.seconds},
        "contestants": {},
        "absent": {},
        "turns": [],
        "phases": {},
    }
    with ExitStack() as running:
        sides: dict[str, Contestant] = {}
        for name in (OURS, *case.fixed, *(given.rivals if not case.fixed else ())):
            assignment = {
                "case": case.name,
                "contestant": name,
                "batch": size["batch"],
                "side": size["side"],
                **_settings(case, given, size["runs"]),
            }
            try:
                sides[name] = running.enter_context(contestant(assignment, size["runs"]))
            except AnswerError as error:
                result["absent"][name] = str(error)
                continue
            result["contestants"][name] = sides[name].ready[0]
        if OURS in sides:
            _compare(sides, given, result, end_s)
    return result


def _compare(
    sides: dict[str, Contestant], given: argparse.Namespace, result: dict[str, Any], end_s: float
) -> None:
    """Take the turns, then count and profile; an answer that does not come ends a side's part."""
    result["peak"] = sides[OURS].call("peak")
    for pair, mode in product(range(given.pairs), given.modes):
        if pair and time.monotonic() > end_s:
            break
        for name in list(sides):
            try:
                answers = sides[name].turn(mode, given.seconds)
            except AnswerError as error:
                result["absent"][name] = str(error)
                del sides[name]
                continue
            result["turns"].append({"pair": pair, "mode": mode, "who": name, "runs": answers})
    for name, side in sides.items():
        result["contestants"][name] |= side.call("counts")
    if OURS in sides:
        is_late = time.monotonic() > end_s
        steps = _FEWEST_PHASE_STEPS if is_late else _PHASE_STEPS
        result["phases"] = sides[OURS].call("phases", steps=steps)


def _settings(case: Case, given: argparse.Namespace, runs: int) -> dict[str, Any]:
    """Return what each process is told besides its size; runs side by side share the cores."""
    cores = given.cores
    threads = given.threads or case.threads or cores
    if runs > 1:
        threads = max(1, cores // runs)
    return {
        "device": given.device,
        "precision": given.precision,
        "compute": given.compute,
        "threads": threads,
        "workers": given.workers,
        "cores": cores,
    }


def sizes(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return each batch, side and number of runs that is asked for; None: the case's own."""
    grid = product(given.batches or [None], given.sides or [None], given.runs)
    return [{"batch": batch, "side": side, "runs": runs} for batch, side, runs in grid]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    chosen = ", ".join(f"{case.name} ({case.what})" for case in CASES.values())
    add("--cases", type=_names(CASES), default=["r18-32-7x7"], help=chosen)
    add("--rivals", type=_names(RIVALS), default=[], help="lightly, solo-learn, or both")
    add("--modes", type=_names(MODES), default=list(MODES), help="step, used, or both")
    add("--pairs", type=int, default=5, help="turns of each (5)")
    add("--seconds", type=float, default=5.0, help="of a turn; two steps at least (5)")
    add("--minutes", type=float, default=0.0, help="no further pair after these; 0: no limit")
    add("--device", default="auto", help="cpu, cuda or auto")
    add("--precision", default="auto", choices=["auto", "fp32", "tf32", "bf16"], help="of all")
    add("--compute", default="auto", help="how ours computes on a GPU")
    add("--threads", type=int, default=0, help="of a run on a processor; 0: the case's")
    add("--workers", type=int, default=0, help="of the others' loaders; 0: a core each, 16 at most")
    add("--batches", type=_numbers, default=[], help="e.g. 64,512,4096, instead of the case's")
    add("--sides", type=_numbers, default=[], help="of the images, e.g. 32,96,224")
    add("--runs", type=_numbers, default=[1], help="runs side by side, e.g. 1,2,4,8")
    add("--out", type=Path, default=None, help="folder for the JSON files")
    add("--show", type=Path, default=None, help="print the tables of a folder's files, and end")
    add("--into", type=Path, default=None, help="with --show: a file to put them in, between marks")
    return _filled(parser.parse_args(arguments))


def _filled(given: argparse.Namespace) -> argparse.Namespace:
    """Put what this machine has in place of what is left open."""
    given.cores = os.cpu_count() or 1
    given.workers = given.workers or min(16, given.cores)
    if given.device == "auto":
        given.device = "cuda" if torch.cuda.is_available() else "cpu"
    if given.precision == "auto":
        given.precision = "bf16" if given.device.startswith("cuda") else "fp32"
    return given


def _names(allowed: Any) -> Any:
    def parsed(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(allowed)}")
        return names

    return parsed


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _show(given: argparse.Namespace) -> None:
    """Print the tables of a folder's files, and put them where they are wanted."""
    tables = [as_text(result, is_markdown=True) for result in read_results(given.show)]
    if not tables:
        sys.exit(f"--show {given.show}: no measurements are there; make some with --out")
    text = "\n".join(tables)
    print(text)
    if given.into and not put_between_marks(given.into, text):
        sys.exit(f"--into {given.into}: it has no lines {' and '.join(MARKS)}, in this order")


def main() -> None:
    """Measure what is asked for, or show what was measured."""
    given = parse(sys.argv[1:])
    if given.show:
        _show(given)
        return
    end_s = time.monotonic() + 60 * given.minutes if given.minutes else float("inf")
    for name, size in product(given.cases, sizes(given)):
        if time.monotonic() > end_s:
            print(f"{name}: not measured, the {given.minutes:g} minutes are over")
            continue
        result = measure(CASES[name], given, size, end_s)
        print(as_text(result, is_markdown=False), flush=True)
        if given.out:
            print(f"written: {write_result(result, given.out / file_name(result))}\n")


if __name__ == "__main__":
    main()
