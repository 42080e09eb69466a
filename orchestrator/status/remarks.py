"""Says in words what people remark of runs and sweeps: exclusions, tags, notes."""

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
    remarks_now = read_remarks(run)
    return {
        "excluded": _fields(remarks_now.excluded) if remarks_now.excluded else None,
        "tags": list(remarks_now.tags),
        "notes": [_fields(note) for note in remarks_now.notes],
    }


def lines(of_run: dict[str, Any]) -> Iterator[str]:
    """Yield the same for people."""
    if of_run["excluded"]:
        yield f"excluded from tables {signed(of_run['excluded'])}"
    if of_run["tags"]:
        yield f"tags     {', '.join(of_run['tags'])}"
    for note in of_run["notes"]:
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
    """Return the sweeps that people hid, and what they said of it."""
    hidden = []
    for sweep in root.sweeps():
        forgotten = read_remarks(sweep.path).forgotten
        if forgotten is not None:
            hidden.append({"sweep": sweep.path.name, **_fields(forgotten)})
    return hidden


def _fields(annotation: Annotation) -> dict[str, Any]:
    return {"text": annotation.text, "at": annotation.at, "by": annotation.by}


def signed(remark: dict[str, Any]) -> str:
    """Return `2026-11-26 02:10, ana: wrong lens`."""
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(remark["at"]))
    return f"{day}, {remark['by']}: {remark['text']}"
