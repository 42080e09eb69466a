"""What a check returns: how it stands, what was found, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a check came out; `fail` alone makes the exit status 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One answer.

    Attributes:
        name: what was looked at.
        level: how it stands.
        found: what is there, with its value.
        fix: the next step; empty where all is well.
    """

    name: str
    level: Level
    found: str
    fix: str = ""


def ok(name: str, found: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(name, Level.OK, found)


def warn(name: str, found: str, fix: str) -> Finding:
    """Return a finding that will bite some."""
    return Finding(name, Level.WARN, found, fix)


def fail(name: str, found: str, fix: str) -> Finding:
    """Return a finding with which no sweep can work."""
    return Finding(name, Level.FAIL, found, fix)
