"""Holds what a check returns: how it came out, what was seen, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """Says how a check came out; `fail` alone makes the exit status 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """Holds what one check returns.

    Attributes:
        name: what was looked at.
        level: how it stands.
        observed: what is there, with its value.
        fix: the next step; empty where all is well.
    """

    name: str
    level: Level
    observed: str
    fix: str = ""


def ok(name: str, observed: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(name, Level.OK, observed)


def warn(name: str, observed: str, fix: str) -> Finding:
    """Return a finding that will be a problem for some sweeps."""
    return Finding(name, Level.WARN, observed, fix)


def fail(name: str, observed: str, fix: str) -> Finding:
    """Return a finding with which no sweep can work."""
    return Finding(name, Level.FAIL, observed, fix)
