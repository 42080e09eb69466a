"""Decides from where the processes that a launcher starts import: from a copy of the code.

Python puts the working directory first on the path of a process that is started with ``-c`` or
``-m``, and multiprocessing hands the launcher's own path on. A user's ``queue.py`` or another
checkout there would be executed in place of what the launcher has recorded.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


@contextmanager
def imports_from(code: Path) -> Iterator[None]:
    """Let processes that are started meanwhile import our packages from the folder `code`.

    Nothing is imported from the working directory, and the script that launches is not run again.
    This process's own path is put back in the end.
    """
    own_path, own_main = sys.path, sys.modules["__main__"]
    names = ("PYTHONPATH", "PYTHONSAFEPATH")
    before = {name: os.environ.get(name) for name in names}

    # The variables reach Python's own helpers, as the fork server; the path reaches its children.
    kept = _elsewhere(own_path)
    given = _elsewhere(os.environ.get("PYTHONPATH", "").split(os.pathsep))
    if str(code) not in kept:  # installed packages stay behind Python's own modules
        kept = [str(code), *kept]
        given = [str(code), *given]
    sys.path = kept
    sys.modules["__main__"] = ModuleType("__main__")  # which multiprocessing would import anew
    os.environ["PYTHONPATH"] = os.pathsep.join(given)
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        sys.path = own_path
        sys.modules["__main__"] = own_main
        for name, value in before.items():
            _set(name, value)


def _elsewhere(path: list[str]) -> list[str]:
    """Return a path without the working directory and without what depends on it."""
    here = working_folder()
    absolute = [entry for entry in path if Path(entry).is_absolute()]
    return [entry for entry in absolute if Path(entry).resolve() != here]


def working_folder() -> Path | None:
    """Return the folder that this process works in; None once it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
