"""Reads paths as a user types them: `~` at the front is the home folder.

A shell replaces it only where it begins a word, so not in `--set dataset.path=~/photos`, not in a
spec, and not in a variable that was set in quotes.
"""

import os
from pathlib import Path


def expanded(path: str) -> str:
    """Return a path with the home folder for `~` at its front; one of no such user stays."""
    return os.path.expanduser(path)  # noqa: PTH111 - that of Path raises where there is no user


def absolute(path: str | Path) -> Path:
    """Return a path from the root on, with the home folder for `~` at its front."""
    return Path(expanded(str(path))).absolute()
