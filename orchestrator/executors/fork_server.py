"""Prepares the fork server of a launch: it does once what the process of each run would do.

Loaded by the server as it starts, and by nothing else: it changes the process that it is loaded in.
"""

import atexit
import gc
import os

# Objects of libraries stay for good: looking for garbage among them takes a sixth of the loading,
# and would copy their memory in the process of each run.
gc.disable()

import orchestrator.executors.warm  # noqa: E402
from orchestrator.executors.held_data import hold_data  # noqa: E402
from orchestrator.provenance.origin import listed_gpus, machine, versions  # noqa: E402
from orchestrator.provenance.packages import installed_packages  # noqa: E402
from orchestrator.provenance.snapshot import running_code  # noqa: E402

__all__ = ["orchestrator"]

# What each run records is remembered, and its images are read.
for gather in (running_code, versions, installed_packages, machine, listed_gpus):
    gather()
hold_data()

gc.freeze()
gc.enable()

# Clearing away all libraries takes a second and a half, for which a pipe behind the launch waits.
atexit.register(os._exit, 0)
