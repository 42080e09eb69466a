"""`sweep diff`: what two runs differ in, settings and results. Reads their folders alone."""

from typing import Any

from orchestrator.store.jobs import Queue
from orchestrator.store.root import RunFolder
from orchestrator.store.standing import standing


def difference(one: RunFolder, other: RunFolder) -> dict[str, tuple[Any, Any]]:
    """Return what differs: key → (value of one, value of the other); settings first, then data,
    state and results.
    """
    first, second = _facts(one), _facts(other)
    return {
        key: (first.get(key), second.get(key))
        for key in {**first, **second}
        if first.get(key) != second.get(key)
    }


def _facts(run: RunFolder) -> dict[str, Any]:
    description = run.read_description()
    where = standing(run, Queue())
    facts = dict(description["canonical"])
    facts |= {f"data.{key}": value for key, value in description["data"].items()} | {
        "semantics": description["semantics"]
    }
    facts |= {"state": where.state.value, "outcome": where.outcome}
    for one in run.evaluations():
        for network in ("online", "target"):
            facts |= {
                f"{one['protocol']}.{network}.{name}": value
                for name, value in one.get(network, {}).items()
            }
    return facts
