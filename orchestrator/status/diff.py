"""Finds what two runs differ in, for `sweep diff`: settings, results, and where these come from."""

from typing import Any

from orchestrator.status.provenance import provenance, shown
from orchestrator.status.remarks import remarks
from orchestrator.store.jobs import Queue
from orchestrator.store.root import RunFolder
from orchestrator.store.standing import standing
from orchestrator.text import percent

_FINAL = "final."
"""Begins what was measured over the last epoch: loss and signs of collapse."""


def in_words(key: str, value: Any) -> str:
    """Return a value of a difference as people read it."""
    if key.endswith(".accuracy") and value is not None:
        return percent(value, 2)
    if key.startswith(_FINAL) and isinstance(value, float):
        return f"{value:.4g}"
    return shown(key, value)


def difference(run: RunFolder, other: RunFolder) -> dict[str, tuple[Any, Any]]:
    """Return what differs: key → (value of the run, value of the other).

    Settings come first, then data, state, results, and where these come from.
    """
    facts = _facts(run)
    other_facts = _facts(other)
    return {
        key: (facts.get(key), other_facts.get(key))
        for key in {**facts, **other_facts}
        if facts.get(key) != other_facts.get(key)
    }


def _facts(run: RunFolder) -> dict[str, Any]:
    """Return everything in which a run may differ from another, in one flat dictionary."""
    description = run.read_description()
    facts = dict(run.settings())
    facts |= {f"data.{key}": value for key, value in description["data"].items()}
    facts["semantics"] = description["semantics"]

    run_standing = standing(run, Queue())
    facts["state"] = run_standing.state.value
    facts["outcome"] = run_standing.outcome

    done = run.attempt(run_standing.attempt).read_done() if run_standing.attempt else None
    final = (done or {}).get("final") or {}
    facts |= {f"{_FINAL}{name}": value for name, value in final.items()}

    # Two versions of a protocol are two measures, which are not compared.
    for evaluation in run.evaluations():
        measure = f"{evaluation['protocol']}_v{evaluation['version']}"
        for network in ("online", "target"):
            for name, value in evaluation.get(network, {}).items():
                facts[f"{measure}.{network}.{name}"] = value

    of_people = remarks(run.path)
    facts["excluded"] = of_people["excluded"] and of_people["excluded"]["text"]
    facts["tags"] = of_people["tags"]
    return facts | provenance(run)
