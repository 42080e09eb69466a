"""Says in words what people said of runs and sweeps: exclusions, tags, notes."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.status.run_status import RunStatus
from orchestrator.store.annotations import Annotation, read_remarks
from orchestrator.store.root import PREFIX, Root
from orchestrator.text import plain

_SHOWN = 5


def remarks(run: Path) -> dict[str, Any]:
    """Return what was said of a run, as `sweep show --json` prints it."""
    said = read_remarks(run)
    return {
        "excluded": _fields(said.excluded) if said.excluded else None,
        "tags": list(said.tags),
        "notes": [_fields(note) for note in said.notes],
    }


def lines(said: dict[str, Any]) -> Iterator[str]:
    """Yield the same for people."""
    if said["excluded"]:
        yield f"excluded from tables {signed(said['excluded'])}"
    if said["tags"]:
        yield f"tags     {', '.join(said['tags'])}"
    for note in said["notes"]:
        yield f"note     {signed(note)}"


def exclusion_lines(runs: Sequence[RunStatus]) -> Iterator[str]:
    """Yield which runs of a sweep tables leave out, and why."""
    excluded = [run for run in runs if run.excluded is not None]
    for run in excluded[:_SHOWN]:
        name = f"{run.variant} seed {run.seed} ({run.run_id[:PREFIX]})"
        yield plain(f"excluded  {name}: {run.excluded}")
    if len(excluded) > _SHOWN:
        yield f"… and {len(excluded) - _SHOWN} excluded more: sweep runs --where excluded=yes"


def forgotten_sweeps(root: Root) -> list[dict[str, Any]]:
    """Return the sweeps that people hid, and what they said."""
    hidden = []
    for sweep in root.sweeps():
        said = read_remarks(sweep.path).forgotten
        if said is not None:
            hidden.append({"sweep": sweep.path.name, **_fields(said)})
    return hidden


def _fields(annotation: Annotation) -> dict[str, Any]:
    return {"text": annotation.text, "at": annotation.at, "by": annotation.by}


def signed(said: dict[str, Any]) -> str:
    """Return `2026-11-26 02:10, ana: wrong lens`."""
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(said["at"]))
    return f"{day}, {said['by']}: {said['text']}"
