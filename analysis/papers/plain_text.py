"""Makes names that people chose safe to print: on one line, without control characters."""

import unicodedata

_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories: control, format (also what turns the direction of text), line separators."""


def plain(text: str) -> str:
    """Return text in which nothing steers a terminal, breaks a line or hides what is written."""
    return "".join("\ufffd" if unicodedata.category(char) in _INVISIBLE else char for char in text)
