"""Starts the `sweep` command, once it is sure that all three packages are ours.

`analysis` is a name that others use too. Where such a module stands before ours on Python's path,
one line names it; nothing else is imported before that. A foreign `orchestrator` is met where this
file is found all the same, as in an editable installation; elsewhere Python itself ends with an
import error before any line of ours runs.
"""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

_HOME = Path(__file__).parents[2]
_PACKAGES = ("orchestrator", "analysis", "byol_core")


def main() -> None:
    """Run the command, unless another package stands in the place of ours."""
    foreign = list(foreign_packages())
    if foreign:
        print(f"error: {foreign[0]}", file=sys.stderr)
        sys.exit(2)

    from orchestrator.cli.main import main as run

    run()


def foreign_packages() -> Iterator[str]:
    """Yield a line for each of our packages that Python would take from elsewhere."""
    for name in _PACKAGES:
        ours = _HOME / name / "__init__.py"
        spec = find_spec(name)
        origin = getattr(spec, "origin", None)
        if origin is None or Path(origin).resolve() != ours.resolve():
            yield (
                f"{name!r} is imported from {origin}, not from {ours.parent}, which belongs to this "
                "program: take that folder out of PYTHONPATH, or rename what lies there"
            )
