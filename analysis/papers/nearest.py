"""Names the nearest of the names that there are, for one that was misspelt."""

import difflib
from collections.abc import Collection


def nearest(name: str, known: Collection[str], noun: str) -> str:
    """Return `did you mean 'norm'? tables: init, norm`, or the names alone where none is near."""
    names = f"{noun}: {', '.join(sorted(known)) or 'none yet'}"
    close = difflib.get_close_matches(name, known, n=1)
    if not close:
        return names
    return f"did you mean {close[0]!r}? {names}"
