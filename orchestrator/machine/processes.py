"""Names processes for good, and tells whether they live.

A pid alone comes back after a reboot or a wrap-around, so start time and boot go with it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Process:
    """Names a process of some machine, past or present.

    Attributes:
        host: the machine's name.
        boot_id: of the boot that it ran in.
        pid: in that boot.
        started: clock ticks after that boot.
    """

    host: str
    boot_id: str
    pid: int
    started: int


def this_process() -> Process:
    """Return the calling process."""
    started = _started(os.getpid())
    return Process(os.uname().nodename, _boot_id(), os.getpid(), started or 0)


def named_process(facts: Mapping[str, Any]) -> Process:
    """Return a process as it was written down; what else was written is left out."""
    return Process(facts["host"], facts["boot_id"], facts["pid"], facts["started"])


def is_alive(process: Process) -> bool | None:
    """Tell whether it runs; None for a process of another host, which cannot be seen from here."""
    if process.host != os.uname().nodename:
        return None
    return process.boot_id == _boot_id() and _started(process.pid) == process.started


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """Return field 22 of /proc/PID/stat; None for a process that has ended, reaped or not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None

    # The name in parentheses may hold anything, so the fields are counted behind it.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return int(fields[19])
