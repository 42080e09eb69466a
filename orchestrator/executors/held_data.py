"""Reads the images of a launch once: its fork server holds them, and every run's process has them.

Processes share the memory, as none writes to it. Only what a data set's own reader holds in memory
is read ahead; photos are decoded as they are wanted, and a user's own class is left to the run.
"""

import os
from contextlib import chdir, suppress
from pathlib import Path

from orchestrator.store.root import RunFolder

HOLDS = "SWEEP_HOLDS"
"""The variable that names the folder of a run whose images the server is to hold."""
HOLDS_FROM = "SWEEP_HOLDS_FROM"
"""The variable that names the folder which relative paths of that run start from."""

_fingerprint: str | None = None
"""Of what this process holds: the content that the plan has seen."""


def hold_data() -> None:
    """Read the images of the run that the variable names; what fails is left to the run to tell."""
    global _fingerprint
    folder = os.environ.pop(HOLDS, None)
    start = os.environ.pop(HOLDS_FROM, None)
    if folder is None or start is None:
        return
    import torch

    from byol_core.config import essential
    from byol_core.images.load import hold

    # A process must not be forked from one that has started threads to compute with.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    run = RunFolder(Path(folder))
    with suppress(Exception), chdir(start):
        hold(essential(run.config()).dataset)
        _fingerprint = _fingerprint_of(run)
    torch.set_num_threads(before)


def keep_only_data_of(run: RunFolder) -> None:
    """Let go of images that are held unless they are, by their content, those of this run."""
    if _fingerprint is None:
        return
    from byol_core.images.load import let_go

    is_the_same = False
    with suppress(Exception):  # the attempt tells what is wrong
        is_the_same = _fingerprint_of(run) == _fingerprint
    if not is_the_same:
        let_go()


def _fingerprint_of(run: RunFolder) -> str:
    return str(run.read_description()["data"]["fingerprint"])
