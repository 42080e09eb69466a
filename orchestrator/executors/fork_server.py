"""Prepares the fork server of a launch: it does once what the process of each run would do.

A launch names this module to its server, which imports it as it starts. Where no launch has said so
(`held_data.HOLDS`), importing it does nothing.
"""

import atexit
import gc
import os
from contextlib import suppress

from orchestrator.executors.held_data import HOLDS, hold_data


def prepare() -> None:
    """Load the libraries, gather what runs record and read their images.

    It changes how this process ends, too.
    """
    # Objects of libraries stay for good: looking for garbage among them takes a sixth of the
    # loading, and would copy their memory in the process of each run.
    gc.disable()
    import orchestrator.executors.warm  # noqa: F401
    from orchestrator.provenance.origin import listed_gpus, machine, versions
    from orchestrator.provenance.packages import installed_packages
    from orchestrator.provenance.snapshot import running_code

    # What each run records is remembered, and its images are read. What fails here is left to the
    # run to tell: without the server there would be no run.
    for gather in (running_code, versions, installed_packages, machine, listed_gpus):
        with suppress(Exception):
            gather()
    hold_data()
    gc.freeze()
    gc.enable()

    # Clearing away all libraries takes a second and a half, for which a pipe behind the launch
    # waits.
    atexit.register(os._exit, 0)


if HOLDS in os.environ:
    prepare()
