"""Command lines: the options that may stand anywhere, and arguments that hold several values."""

from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.errors import UsageError

_ANYWHERE = {"--root": 2, "--db": 2, "--debug": 1}
"""Options of `sweep` itself, and how many words each takes; no command has one of that name."""


def globals_first(words: Sequence[str]) -> list[str]:
    """Move the options of `sweep` itself before the command, so that they may stand behind it too.

    Raises:
        UsageError: the value of one is missing.
    """
    front: list[str] = []
    back: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*front, *back, word, *rest]
        name, equals, _ = word.partition("=")
        chosen = front if name in _ANYWHERE else back
        chosen.append(word)
        if _ANYWHERE.get(name) == 2 and not equals:
            chosen.append(_value_of(name, rest))
    return front + back


def _value_of(option: str, rest: Iterator[str]) -> str:
    for value in rest:
        return value
    raise UsageError(f"{option} needs a value; `sweep -h` tells what it is")


def assignment(text: str) -> tuple[str, Any]:
    """Return key and value of `--set KEY=VALUE`; the value is read as in a spec."""
    from orchestrator.spec.strict_yaml import scalar

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {text!r} is no assignment; write KEY=VALUE, e.g. optimizer.lr=0.5")
    return key.strip(), scalar(value)


def names(text: str | None) -> list[str]:
    """Split at commas; a variant of a grid has commas of its own, so it is given alone."""
    if text is None:
        return []
    return [text] if "=" in text else [name.strip() for name in text.split(",") if name.strip()]


def seed_numbers(text: str | None) -> list[int] | None:
    """Return the numbers of `--seeds 0,1,2`."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) < 2**31 for word in words) or len(set(words)) != len(
        words
    ):
        raise UsageError(
            f"--seeds {text!r} are no seeds; write different numbers from 0 to 2147483647, e.g. 0,1,2"
        )
    return [int(word) for word in words]
