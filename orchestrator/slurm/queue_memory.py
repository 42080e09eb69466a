"""Keeps what earlier looks at SLURM have found, in ``slurm.json`` of the root.

Commands look only now and then, so each leaves the next what SLURM may have forgotten by then. It
is a memory and no evidence: without it the next look knows less, and nothing is told wrong.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from byol_core.files import DamagedFileError, read_json, write_json
from orchestrator.store.jobs import JobFacts
from orchestrator.store.shapes import checked, each

_FILE = "slurm.json"
_FACTS: dict[str, Any] = {f"{field.name}?": (str, float) for field in fields(JobFacts)}
_SHAPE = {
    "answered_at?": (float, type(None)),
    "account_silent_at?": (float, type(None)),
    "missing_since?": each(float),
    "ended?": each(_FACTS),
}


@dataclass
class Memory:
    """Holds what is remembered of the jobs of a root. Times are in seconds since 1970.

    Attributes:
        answered_at: of the last look that SLURM answered.
        account_silent_at: when the accounting database was last asked in vain.
        missing_since: job → when it was first seen to be gone, though nobody said how it ended.
        ended: job → what was said last of a job that has ended.
    """

    answered_at: float | None = None
    account_silent_at: float | None = None
    missing_since: dict[str, float] = field(default_factory=dict)
    ended: dict[str, JobFacts] = field(default_factory=dict)

    def forget_all_but(self, jobs: Collection[str]) -> None:
        """Drop jobs that are of no interest any more."""
        self.missing_since = {
            job: since for job, since in self.missing_since.items() if job in jobs
        }
        self.ended = {job: facts for job, facts in self.ended.items() if job in jobs}


def recall(root: Path) -> Memory:
    """Return the memory of a root; an empty one where there is none that can be read."""
    try:
        known: dict[str, Any] = checked(root / _FILE, read_json(root / _FILE) or {}, _SHAPE)
        ended = {name: JobFacts(**facts) for name, facts in known.pop("ended", {}).items()}
        return Memory(**known, ended=ended)
    except (DamagedFileError, OSError, TypeError):
        return Memory()


def remember(root: Path, memory: Memory) -> None:
    """Keep the memory; a root that cannot be written has none."""
    with suppress(OSError):
        write_json(root / _FILE, asdict(memory))
