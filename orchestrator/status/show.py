"""Finds all that is known of one run, for `sweep show`; reads the run's folder alone."""

from typing import Any

from byol_core.config import PRESETS, canonical, resolve
from orchestrator.status.provenance import provenance
from orchestrator.status.remarks import remarks
from orchestrator.store.root import AttemptFolder, RunFolder
from orchestrator.store.standing import Standing


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
