"""Stamps the folder of a run: the text changes when something comes in, without a look inside.

Thousands of folders are stamped by each look, so it takes as few questions as it can.
"""

import os

from byol_core.protocols import PROTOCOLS
from orchestrator.store.root import RunFolder

UNTOUCHED = "no attempt"
"""The stamp of a run folder without attempts and annotations."""

_EVALUATIONS = {
    name: [f"{name}-v{version}.json" for version in range(newest, 0, -1)]
    for name, newest in PROTOCOLS.items()
}
"""Protocol → the names of its results, the newest version first: older runs keep theirs."""


def stamp_of(run: RunFolder, newest: int) -> str:
    """Return a text that changes when an attempt, its end, an evaluation or a remark comes in.

    It changes too when a result or an evaluation is written over in place, which no folder shows.

    Args:
        run: its folder.
        newest: the number of its newest attempt as far as is known, 0 for none: a listing is slow.
    """
    folder = os.fspath(run.path)
    attempts = _modified(f"{folder}/attempts")
    annotations = _modified(f"{folder}/annotations")
    if not (attempts or annotations):
        return UNTOUCHED

    # With its result an attempt has ended; before, its folder shows what comes in.
    attempt = f"{folder}/attempts/{newest:04d}"
    stamp = [attempts, annotations, _modified(f"{attempt}/done.json") or _modified(attempt)]

    # While one is missing, the folder shows what comes in.
    evaluations = [_newest_evaluation(folder, names) for names in _EVALUATIONS.values()]
    if 0 in evaluations:
        evaluations.append(_modified(f"{folder}/evaluations"))
    return " ".join(map(str, stamp + evaluations))


def _newest_evaluation(folder: str, names: list[str]) -> int:
    """Return when the first of these results that is there was last changed; 0 without one."""
    for name in names:
        modified = _modified(f"{folder}/evaluations/{name}")
        if modified:
            return modified
    return 0


def _modified(path: str) -> int:
    """Return when a path was last changed, in nanoseconds since 1970; 0 where there is none."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - thousands of times
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except PermissionError:
        return 1  # something that cannot be looked at: the run is read, and says so
