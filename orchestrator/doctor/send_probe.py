"""Sends one short job that looks around on a compute node: `sweep doctor --submit`.

It is held and released like any other. It asks for what a run of the spec asks for, with a time
limit of minutes; where it does not come back in time it is cancelled. Its folder below the root
goes when it is done; the copy of the code that it imports, as a run's job does, stays.
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
from orchestrator.slurm.commands import ask, sbatch
from orchestrator.slurm.limits import ask_controller
from orchestrator.slurm.listing import queue
from orchestrator.slurm.reasons import explain
from orchestrator.slurm.submit import code_line, gpus_of, setup_lines
from orchestrator.spec import Resources, Sweep, expand
from orchestrator.store.jobs import ENDED
from orchestrator.store.root import Root

_LIMIT_MIN = 10
_LOOK_S = 0.2
_ASK_S = 5.0
_LATE_S = 15.0
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
        write_json(folder / ASKED, _datasets(sweep))

        # SLURM may refuse the request, and so may clusters.yaml.
        try:
            requests = requests_of_sweep(sweep, ask_controller().cluster)
            wanted = requests[0] if requests else _NOTHING_MUCH
            job_id = _submit(folder, wanted, take_snapshot(root))
        except (SchedulerError, SpecError) as error:
            fix = "the text is SLURM's: change resources, or ask your site"
            return [fail("probe job", str(error), fix)]

        note(f"probe is SLURM job {job_id}; waiting up to {wait_s / 60:g} min")
        try:
            report, seen_at, standing = _wait(folder, wait_s, note)
        finally:
            _cancel(job_id)

        # The folder is still needed here: its clock is read.
        if report is None:
            fix = "a run would end the same way; --wait-min N waits longer"
            return [fail("probe job", f"job {job_id} {standing}", fix)]
        return list(read_report(report, job_id, wanted.gpus, seen_at, folder))


def _datasets(sweep: Sweep | None) -> list[dict[str, Any]]:
    """Return the settings of the different data sets of a sweep, as JSON has them."""
    if sweep is None:
        return []
    datasets = {variant.config.dataset for variant in expand(sweep)}
    return [dataset.model_dump(mode="json") for dataset in datasets]


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
    """Submit the probe held, release it, and return its job id."""
    script = folder / "probe.sh"
    text = _SCRIPT.format(
        setup="\n".join([*setup_lines(wanted), code_line(code)]),
        python=wanted.python or shlex.quote(sys.executable),
        folder=shlex.quote(str(folder)),
    )
    write_atomic(script, text.encode())

    with umask_of(folder):
        job_id = sbatch(*_options(folder, wanted), str(script))
    ask("scontrol", "release", job_id)
    return job_id


def _options(folder: Path, wanted: Resources) -> list[str]:
    """Return the options of sbatch: what a run would ask for, on one node and for minutes."""
    settings = {
        "time": _LIMIT_MIN,
        "nodes": 1,
        "cpus-per-task": 1,
        "mem": f"{wanted.mem_gb}G",
        "job-name": folder.name,
        "output": folder / "output",
        "partition": wanted.partition,
        "account": wanted.account,
        "qos": wanted.qos,
        "constraint": wanted.constraint,
        "exclude": wanted.exclude,
        "reservation": wanted.reservation,
        "gpus-per-node": gpus_of(wanted),
    }
    return ["--hold", *(f"--{key}={value}" for key, value in settings.items() if value is not None)]


def _wait(
    folder: Path, wait_s: float, note: Callable[[str], None]
) -> tuple[dict[str, Any] | None, float, str]:
    """Return the report and when it came into sight; or None, and what became of the job."""
    deadline = time.monotonic() + wait_s
    ask_at = 0.0
    standing = ""
    while time.monotonic() < deadline:
        report = read_json(folder / REPORT)
        if report is not None:
            return report, time.time(), ""

        # SLURM is asked more seldom than the folder, and each change is noted once.
        if time.monotonic() >= ask_at:
            ask_at = time.monotonic() + _ASK_S
            before = standing
            standing, may_report = _standing(folder.name)
            if standing != before:
                note(standing)
            if not may_report:  # a last look, for a file system that is slow to show it
                deadline = min(deadline, time.monotonic() + _LATE_S)
        time.sleep(_LOOK_S)
    return None, 0.0, f"left no report in {wait_s / 60:g} min: {standing}{_output(folder)}"


def _standing(name: str) -> tuple[str, bool]:
    """Return in words where the job of a name stands, and whether it may still report."""
    listed = queue({name})
    if listed is None:
        return "SLURM does not answer", True
    facts = next(iter(listed.values()), None)
    if facts is None:
        return "ended", False

    if facts.word in ENDED:
        return f"ended ({facts.word.lower()})", False
    if facts.word == "PENDING":
        return f"waiting: {explain(facts.reason or 'None')}", True
    return facts.word.lower(), True


def _output(folder: Path) -> str:
    """Return the last lines that the job printed, in words."""
    try:
        lines = (folder / "output").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    if not lines:
        return "; it printed nothing"
    return f"; its last words: {' / '.join(lines[-3:])}"


def _cancel(job_id: str) -> None:
    try:
        ask("scancel", job_id)
    except SchedulerError:
        return  # it has ended, or its own time limit ends it
