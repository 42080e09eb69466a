"""Finds where a run's result comes from, so that a mark in a table can be explained.

Commit, code, trainer, versions, device, dates, and the sweeps that ask for the run: from the last
attempt's start and from the plans of the root.
"""

import time
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from byol_core.files import DamagedFileError
from orchestrator.store.annotations import is_forgotten
from orchestrator.store.device import device_used
from orchestrator.store.root import PREFIX, AttemptFolder, Root, RunFolder
from orchestrator.text import counted, duration

_WIDTH = 80
_INDENT = " " * 9
_COMPUTE = {
    "device": "device",
    "kind": "device model",
    "capability": "processor capability",
    "threads": "threads",
    "path": "compute path",
}


def provenance(run: RunFolder) -> dict[str, Any]:
    """Return where the result of the last attempt comes from, as flat keys; null is not known."""
    attempt = run.last_attempt()
    start = start_event(attempt) if attempt is not None else {}
    done = (attempt.read_done() if attempt is not None else None) or {}
    origin = start.get("origin") or {}
    compute = origin.get("compute") or {}

    facts = {
        "sweeps": wanted_by(run),
        "commit": origin.get("commit"),
        "uncommitted changes": origin.get("dirty"),
        "code": origin.get("code"),
        "trainer code": origin.get("trainer"),
    }
    facts |= {shown: compute.get(name) for name, shown in _COMPUTE.items()}
    if attempt is not None:
        facts["device"] = device_used(start.get("origin"), attempt.read_claim())
    facts |= {f"version of {name}": text for name, text in origin.get("versions", {}).items()}
    return facts | {
        "started": start.get("t"),
        "ended": done.get("ended_at"),
        "wall_s": done.get("wall_s"),
    }


def wanted_by(run: RunFolder) -> list[str]:
    """Return `sweep: variant` for each sweep of the root that asks for the run."""
    wanted = []
    for sweep in Root(run.path.parents[1]).sweeps():
        try:
            plan = sweep.read_plan() or {"runs": []}
        except DamagedFileError:
            continue  # `sweep status` names it
        names = {entry["variant"] for entry in plan["runs"] if entry["run_id"] == run.run_id}
        if names and is_forgotten(sweep.path):
            continue  # it asks for no run any more
        wanted += [f"{sweep.path.name}: {name}" for name in sorted(names)]
    return wanted


def lines(facts: dict[str, Any]) -> Iterator[str]:
    """Yield where a result comes from, 80 columns wide."""
    changes = {True: ", with uncommitted changes", False: "", None: ""}
    commit = f"{_short(facts['commit'])}{changes[facts['uncommitted changes']]}"
    for sweep in facts["sweeps"]:
        yield f"sweep    {sweep}"
    if facts["started"] is None:
        return

    device = [facts[name] for name in ("device", "device model", "processor capability")]
    versions = [
        f"{key.removeprefix('version of ')} {value}"
        for key, value in facts.items()
        if key.startswith("version of ")
    ]
    yield f"commit   {commit}"
    yield f"code     {_short(facts['code'])}, trainer {_short(facts['trainer code'])}"
    used = ", ".join(str(part) for part in device if part is not None) or "not recorded"
    yield from _wrapped(f"device   {used}{_threads(facts['threads'])}")
    yield from _wrapped(f"versions {', '.join(versions)}")
    yield f"time     {_time(facts)}"


def shown(key: str, value: Any) -> str:
    """Return a value as a person reads it: hashes short, times as dates, unknown as a dash."""
    if value is None:
        return "–"
    if key in ("started", "ended"):
        return _moment(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    text = str(value)
    is_hash = len(text) >= 40 and set(text) <= set("0123456789abcdef")
    return _short(text) if is_hash else text


def start_event(attempt: AttemptFolder) -> dict[str, Any]:
    """Return the event that says what an attempt started with; nothing before it has."""
    return next((event for event in attempt.read_events() if event["type"] == "start"), {})


def _moment(seconds: float) -> str:
    """Return `2026-11-25 22:50`, in the time of this machine."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _short(text: str | None) -> str:
    return text[:PREFIX] if text else "not known"


def _threads(count: int | None) -> str:
    return f", {counted(count, 'thread')}" if count else ""


def _time(facts: dict[str, Any]) -> str:
    text = f"started {_moment(facts['started'])}"
    if facts["ended"] is not None:
        text += f", ended {_moment(facts['ended'])}"
    if facts["wall_s"] is not None:
        text += f", took {duration(facts['wall_s'])}"
    return text


def _wrapped(text: str) -> list[str]:
    return wrap(text, _WIDTH, subsequent_indent=_INDENT, break_on_hyphens=False)
