"""Makes text that is safe to print and reads well."""

from typing import Any


def plain(text: str) -> str:
    """Return text on one line without control characters, so that no name steers a terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def assignments(overrides: dict[str, Any]) -> str:
    """Return `key=value, key=value`."""
    return plain(", ".join(f"{key}={value}" for key, value in overrides.items()))


def counted(count: int, noun: str) -> str:
    """Return `1 job`, `2 jobs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def shortened(text: str | None, limit: int = 2000) -> str | None:
    """Return the first characters of a long text, and how many more it has."""
    if text is None or len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} characters more)"


def percent(fraction: float, digits: int = 1) -> str:
    """Return `91.2%`: people read accuracy in percent, JSON and CSV hold fractions."""
    return f"{fraction:.{digits}%}"


def duration(seconds: float) -> str:
    """Return `45 s`, `2 min 05 s`, `3 h 10 min` or `4 d 2 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 100 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
