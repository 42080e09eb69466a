"""Holds the steps of making a run again, and writes them as a script for a shell."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap

from orchestrator.provenance.redact import redact
from orchestrator.store.root import PREFIX, RunFolder
from orchestrator.text import plain

TRAIN = "python -m byol_core"
_WIDTH = 80
_NO_BREAK = "\x00"
_PATH = re.compile(r"'[^']*/[^']*'")


@dataclass
class Step:
    """Holds one step of making a run again.

    Attributes:
        title: what the step brings.
        remarks: what is to be known, and what was not recorded.
        commands: for a shell; each goes on where the one before has ended.
    """

    title: str
    remarks: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


def lines(run: RunFolder, steps: list[Step]) -> Iterator[str]:
    """Yield the steps as a script: commands as they are, the rest as comments."""
    yield f"# makes run {run.run_id[:PREFIX]} again"
    yield "set -e"
    for number, step in enumerate(steps, start=1):
        yield ""
        yield f"# {number}. {step.title}"
        for remark in step.remarks:
            yield from (f"#    {line}" for line in _wrapped(plain(remark)))
        for command in step.commands:
            yield from _folded(plain(command))


def quoted(word: str | Path) -> str:
    """Return a word for a shell, without secrets."""
    return shlex.quote(redact(str(word)))


def _wrapped(remark: str) -> list[str]:
    """Return lines of a remark; what is quoted or assigned, such as a path, stays in one."""
    # A quoted path may hold blanks, at which only the text around it may be broken.
    kept = _PATH.sub(lambda match: match.group().replace(" ", _NO_BREAK), remark)
    lines = wrap(kept, _WIDTH - 5, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_NO_BREAK, " ") for line in lines]


def _folded(command: str) -> Iterator[str]:
    """Yield a command; that of the training with an option a line where it is too wide."""
    if len(command) <= _WIDTH or not command.startswith(TRAIN):
        yield command
        return
    line = TRAIN
    for word in shlex.split(command.removeprefix(TRAIN)):
        if word.startswith("--"):
            yield f"{line} \\"
            line = "   "
        line += f" {shlex.quote(word)}"
    yield line
