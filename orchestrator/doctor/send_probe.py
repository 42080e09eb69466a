"""`sweep doctor --submit`: one short job that looks around on a compute node, held and released
like any other.

It asks for what a run of the spec asks for, with a time limit of minutes; where it does not come
back in time it is cancelled. Its folder below the root goes when it is done; the copy of the code
that it imports, as a run's job does, stays.
"""

import fcntl
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from byol_core.files import make_folder, read_json, remove_tree, umask_of, write_atomic, write_json
from orchestrator.doctor.finding import Finding, fail
from orchestrator.doctor.judge_probe import read_report
from orchestrator.doctor.probe import ASKED, LOCK, REPORT
from orchestrator.doctor.requests import requests_of_sweep
from orchestrator.errors import SchedulerError, SpecError
from orchestrator.provenance.snapshot import take_snapshot
from orchestrator.slurm.commands import ask
from orchestrator.slurm.limits import ask_controller
from orchestrator.slurm.listing import queue
from orchestrator.slurm.reasons import explain
from orchestrator.slurm.submit import code_line, setup_lines
from orchestrator.spec import Resources, Sweep, expand
from orchestrator.store.root import Root

_LIMIT_MIN = 10
_LOOK_S, _ASK_S, _LATE_S = 0.2, 5.0, 15.0
_SCRIPT = """\
#!/bin/bash
{setup}
exec {python} -m orchestrator.doctor.probe {folder}
"""
_NOTHING_MUCH = Resources(gpus=0, cpus=1, mem_gb=4)


def probe_cluster(
    root: Root, sweep: Sweep | None, wait_s: float, note: Callable[[str], None]
) -> list[Finding]:
    """Send the probe, wait for its report, and judge it.

    Args:
        root: below which its files lie for the while.
        sweep: whose data it looks for, and whose first variant's resources it asks for; None for
            one CPU and no data.
        wait_s: how long it may wait and run.
        note: told the job's id and where it is.
    """
    root.create()
    with _folder(root) as folder:
        datasets = {one.config.dataset for one in expand(sweep)} if sweep else set()
        write_json(folder / ASKED, [one.model_dump(mode="json") for one in datasets])
        try:
            wanted = (requests_of_sweep(sweep, ask_controller().cluster) or [_NOTHING_MUCH])[0]
            job_id = _submit(folder, wanted, take_snapshot(root))
        except (SchedulerError, SpecError) as error:
            return [
                fail(
                    "probe job",
                    str(error),
                    "the text is SLURM's: change resources, or ask your site",
                )
            ]
        note(f"probe is SLURM job {job_id}; waiting up to {wait_s / 60:g} min")
        try:
            report, seen_at, why = _wait(folder, wait_s, note)
        finally:
            _cancel(job_id)
        if report is None:
            return [
                fail(
                    "probe job",
                    f"job {job_id} {why}",
                    "a run would fare no better; --wait-min N waits longer",
                )
            ]
        return list(read_report(report, job_id, wanted.gpus, seen_at, folder))


@contextmanager
def _folder(root: Root) -> Iterator[Path]:
    """Make the probe's folder, with a lock in it that this process holds."""
    folder = root.path / "doctor" / f"sweep-doctor-{secrets.token_hex(4)}"
    make_folder(folder)
    try:
        with (folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
    finally:
        remove_tree(folder)


def _submit(folder: Path, wanted: Resources, code: Path) -> str:
    script = folder / "probe.sh"
    python = wanted.python or shlex.quote(sys.executable)
    text = _SCRIPT.format(
        setup="\n".join([*setup_lines(wanted), code_line(code)]),
        python=python,
        folder=shlex.quote(str(folder)),
    )
    write_atomic(script, text.encode())
    gpus = f"{wanted.gpu_type}:{wanted.gpus}" if wanted.gpu_type else wanted.gpus or None
    named = {
        name: getattr(wanted, name)
        for name in ("partition", "account", "qos", "constraint", "exclude", "reservation")
    }
    options = [
        f"--{key}={value}"
        for key, value in {**named, "gpus-per-node": gpus}.items()
        if value is not None
    ]
    limits = (
        f"--time={_LIMIT_MIN}",
        "--nodes=1",
        "--cpus-per-task=1",
        f"--mem={wanted.mem_gb}G",
        "--hold",
    )
    names = (f"--job-name={folder.name}", f"--output={folder / 'output'}")
    with umask_of(folder):
        printed = ask("sbatch", "--parsable", *limits, *names, *options, str(script))
    job_id = printed.strip().partition(";")[0]
    ask("scontrol", "release", job_id)
    return job_id


def _wait(
    folder: Path, wait_s: float, note: Callable[[str], None]
) -> tuple[dict[str, Any] | None, float, str]:
    """Return the report and when it came into sight; or None, and what became of the job."""
    deadline, ask_at, where = time.monotonic() + wait_s, 0.0, ""
    while time.monotonic() < deadline:
        report = read_json(folder / REPORT)
        if report is not None:
            return report, time.time(), ""
        if time.monotonic() >= ask_at:
            ask_at, before = time.monotonic() + _ASK_S, where
            where, is_there = _place(folder.name)
            if where != before:
                note(where)
            if not is_there:  # a last look, for a file system that is slow to show it
                deadline = min(deadline, time.monotonic() + _LATE_S)
        time.sleep(_LOOK_S)
    return None, 0.0, f"left no report in {wait_s / 60:g} min: {where}{_output(folder)}"


def _place(name: str) -> tuple[str, bool]:
    """Return where the job is, in words, and whether it may still report."""
    listed = queue({name})
    if listed is None:
        return "SLURM does not answer", True
    facts = next(iter(listed.values()), None)
    if facts is None or facts.word in (
        "COMPLETED",
        "FAILED",
        "CANCELLED",
        "TIMEOUT",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
    ):
        return f"ended ({facts.word.lower()})" if facts else "ended", False
    return (
        f"waiting: {explain(facts.reason or 'None')}"
        if facts.word == "PENDING"
        else facts.word.lower()
    ), True


def _output(folder: Path) -> str:
    try:
        lines = (folder / "output").read_text(errors="replace").splitlines()
    except OSError:
        return "; it printed nothing"
    return f"; its last words: {' / '.join(lines[-3:])}" if lines else "; it printed nothing"


def _cancel(job_id: str) -> None:
    try:
        ask("scancel", job_id)
    except SchedulerError:
        return  # it has ended, or its own time limit ends it
