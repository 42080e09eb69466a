"""Finds all that is known of one run, for `sweep show`, and says it in words.

It reads the run's folder alone.
"""

from collections.abc import Iterator
from typing import Any

from byol_core.config import PRESETS, canonical, resolve
from orchestrator.status.provenance import lines as provenance_lines
from orchestrator.status.provenance import provenance, shown
from orchestrator.status.remarks import lines as remark_lines
from orchestrator.status.remarks import remarks
from orchestrator.store.device import device_used
from orchestrator.store.root import AttemptFolder, RunFolder
from orchestrator.store.standing import Standing
from orchestrator.text import assignments, percent


def run_details(run: RunFolder, standing: Standing) -> dict[str, Any]:
    """Return all that is known of a run, as `sweep show --json` prints it."""
    description = run.read_description()
    done = run.attempt(standing.attempt).read_done() if standing.attempt else None
    return {
        "run_id": run.run_id,
        "state": standing.state.value,
        "outcome": standing.outcome,
        "reason": standing.reason,
        "folder": str(run.path),
        "config": description["config"],
        "data": description["data"],
        "semantics": description["semantics"],
        "attempts": [_attempt(attempt) for attempt in run.attempts()],
        "result": done,
        "evaluations": list(run.evaluations()),
        "provenance": provenance(run),
        **remarks(run.path),
    }


def difference_from_preset(run: RunFolder) -> tuple[str, dict[str, Any]]:
    """Return the preset closest to the run's config, and what differs from it."""
    config = run.settings()
    images = run.read_description()["data"].get("images")
    differences = {}
    for name in PRESETS:
        preset = canonical(resolve(name, {}), images)
        differences[name] = {
            key: value
            for key, value in config.items()
            if value != preset.get(key) and value is not None
        }
    closest = min(differences, key=lambda name: len(differences[name]))
    return closest, differences[closest]


def _attempt(attempt: AttemptFolder) -> dict[str, Any]:
    """Return what an attempt wrote down of its start and its end."""
    records = list(attempt.read_events())
    start = next((record for record in records if record["type"] == "start"), {})
    end = next((record for record in records if record["type"] == "end"), {})
    return {
        "number": attempt.number,
        "claim": attempt.read_claim(),
        "first_step": start.get("step"),
        "exact": start.get("exact"),
        "origin": start.get("origin"),
        "state": end.get("state"),
        "reason": end.get("reason"),
    }


def detail_lines(run: dict[str, Any], preset: str, changed: dict[str, Any]) -> Iterator[str]:
    """Yield in words what `run_details` found, and what the config has that its preset has not."""
    # Where it stands, and what it is.
    words = [str(run[name]) for name in ("state", "outcome", "reason") if run[name]]
    changes = assignments(
        {name: _hash_short(value) for name, value in changed.items() if name != "seed"}
    )
    yield f"run      {run['run_id']}"
    yield f"state    {' '.join(words)}"
    yield f"folder   {run['folder']}"
    yield f"seed     {run['config']['seed']}"
    yield f"config   {preset}: {changes or 'nothing changed'}"
    yield from _trainer_lines(run["semantics"])

    # What people said of it, where its result comes from, and how it went.
    yield from remark_lines(run)
    yield from provenance_lines(run["provenance"])
    yield from map(_attempt_line, run["attempts"])
    yield from map(_evaluation_line, run["evaluations"])
    result = run["result"] or {}
    for name, value in (result.get("final") or {}).items():
        # A value that is not finite is stored as text.
        yield f"{name:<16} {float(value):.4f} (mean over the last epoch)"


def _hash_short(value: Any) -> Any:
    """Return a setting as people read it: the hash of plug-ins short, all else as it is."""
    return shown("", value) if isinstance(value, str) else value


def _trainer_lines(semantics: int) -> Iterator[str]:
    """Yield that a run is of another trainer than this version's; nothing for one of its own."""
    from byol_core.config import SEMANTICS

    if semantics != SEMANTICS:
        yield (
            f"trainer  of SEMANTICS {semantics}, while this version trains under {SEMANTICS}; "
            "CHANGELOG.md says what changed"
        )


def _attempt_line(attempt: dict[str, Any]) -> str:
    place = "? on ?, ?"
    if attempt["claim"]:
        job = attempt["claim"]["job"]
        device = device_used(attempt["origin"], attempt["claim"]) or "device not known"
        place = f"{job['executor']} on {attempt['claim']['process']['host']}, {device}"
        if attempt["claim"].get("user"):
            place += f", by {attempt['claim']['user']}"
    begun = "before its first step"
    if attempt["first_step"] is not None:
        begun = f"from step {attempt['first_step']}"
    ended = attempt["state"] or "no last word"
    if attempt["exact"] not in (True, None):
        ended += ", resumed inexactly"
    return f"attempt  {attempt['number']}: {place}, {begun}, {ended}"


def _evaluation_line(evaluation: dict[str, Any]) -> str:
    accuracies = ", ".join(
        f"{percent(evaluation[network]['accuracy'], 2)} {network}"
        for network in ("online", "target")
        if network in evaluation
    )
    return f"{evaluation['protocol']:<8} {accuracies} (version {evaluation['version']})"
