"""Reads options that may stand anywhere, and arguments that hold several values."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from orchestrator.errors import UsageError

_ANYWHERE = {"--root": 2, "--db": 2, "--debug": 1}
"""Options of `sweep` itself, and how many words each takes; no command has one of that name."""


def split_globals(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate the options of `sweep` itself from the command, behind which they may stand too.

    Returns:
        The options with their values, and all other words.

    Raises:
        UsageError: the value of an option is missing.
    """
    options: list[str] = []
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        # Behind "--" no word is an option.
        if word == "--":
            return options, [*others, word, *rest]
        name, equals, _ = word.partition("=")
        if name not in _ANYWHERE:
            others.append(word)
            continue
        options.append(word)
        if _ANYWHERE[name] == 2 and not equals:
            options.append(_value_of(name, rest))
    return options, others


def _value_of(option: str, rest: Iterator[str]) -> str:
    value = next(rest, None)
    if value is None:
        raise UsageError(f"{option} needs a value; `sweep -h` tells what it is")
    return value


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
    if "=" in text:
        return [text]
    return [name.strip() for name in text.split(",") if name.strip()]


def seed_numbers(text: str | None) -> list[int] | None:
    """Return the numbers of `--seeds 0,1,2`."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    are_numbers = all(word.isdecimal() and int(word) < 2**31 for word in words)
    if not are_numbers or len(set(words)) != len(words):
        raise UsageError(
            f"--seeds {text!r} are no seeds; "
            "write different numbers from 0 to 2147483647, e.g. 0,1,2"
        )
    return [int(word) for word in words]


def check_choice(option: str, value: str, allowed: Collection[str]) -> None:
    """Raise unless an option has one of its few values.

    Raises:
        UsageError: names the value and what is allowed.
    """
    if value not in allowed:
        raise UsageError(f"{option} {value!r} does not exist; allowed: {', '.join(allowed)}")
