"""Finds runs and sweeps by the names that people type.

A run is named by the first digits of its id, as VARIANT:SEED, or as SWEEP/VARIANT:SEED. A variant
may hold any of these signs, so names are compared whole and never taken apart. A sweep's exact
label means that sweep alone; where none is called so, a spec's name stands for all its labels.
"""

import difflib
from collections.abc import Collection, Iterable, Iterator

from byol_core.files import DamagedFileError
from orchestrator.errors import UsageError
from orchestrator.store.annotations import is_forgotten
from orchestrator.store.root import PREFIX, Root, RunFolder, SweepFolder

_SHOWN = 5
_DIGITS = set("0123456789abcdef")


def find_run(root: Root, name: str) -> RunFolder:
    """Return the run that a name means.

    Raises:
        UsageError: none is called so, or several are; the text lists them.
    """
    if not root.path.exists():
        raise nothing_there(root)
    if ":" not in name:
        return _by_id(root, name)

    # A sweep that is forgotten is named with its runs, or not at all.
    cells = dict(_cells(root))
    exact = {run_id for names, run_id in cells.items() if name == names[0]}
    run_ids = exact or {run_id for names, run_id in cells.items() if name in names}
    if len(run_ids) == 1:
        return root.run(run_ids.pop())
    if not run_ids:
        known = set[str]().union(*cells)
        raise UsageError(f"no run is called {name!r}; {_hint(name, known)}")
    candidates = [
        f"{names[0]} ({run_id[:PREFIX]})" for names, run_id in cells.items() if name in names
    ]
    raise UsageError(
        f"{name!r} names {len(run_ids)} runs: {_listed(candidates)}; give one of these names"
    )


def find_sweep(root: Root, name: str) -> SweepFolder:
    """Return the sweep of a name, forgotten or not.

    An exact label comes first; else a spec's name stands for its sweep, where there is but one.

    Raises:
        UsageError: none is called so, or several are.
    """
    if not root.path.exists():
        raise nothing_there(root)
    labels = [sweep.path.name for sweep in root.sweeps() if sweep.plan.exists()]
    matching = labels_of(name, labels)
    if len(matching) == 1:
        return root.sweep(matching[0])
    if matching:
        raise UsageError(f"{name!r} names {len(matching)} sweeps: {_listed(matching)}; name one")
    if not labels:
        raise UsageError(f"no sweep is called {name!r}; there is none yet")
    raise UsageError(f"no sweep is called {name!r}; {_hint(name, labels)}")


def find_run_or_sweep(root: Root, name: str) -> RunFolder | SweepFolder:
    """Return what a name means; a sweep of that name comes before a run.

    Raises:
        UsageError: it is neither.
    """
    if not root.path.exists():
        raise nothing_there(root)
    labels = [sweep.path.name for sweep in root.sweeps() if sweep.plan.exists()]
    if labels_of(name, labels):
        return find_sweep(root, name)
    is_run = ":" in name or any(run.run_id.startswith(name) for run in root.runs())
    if is_run:
        return find_run(root, name)
    raise UsageError(
        f"no sweep and no run is called {name!r}; {_hint(name, labels)} "
        "(a run is named by the first digits of its id or as VARIANT:SEED)"
    )


def nothing_there(root: Root) -> UsageError:
    """Return the error of a root in which nothing was ever launched, with the next step."""
    return UsageError(
        f"there is nothing in {root.path} yet; start with `sweep launch sweeps/smoke.yaml` "
        "(`sweep init` copies the specs here), or see --root"
    )


def labels_of(name: str, labels: Collection[str]) -> list[str]:
    """Return the labels, of those that there are, that a sweep's name means.

    Labels read NAME@PROFILE+OVERRIDES. An exact label means itself alone; else all of that name.
    """
    if name in labels:
        return [name]
    return [label for label in labels if name == label.partition("@")[0].partition("+")[0]]


def _by_id(root: Root, prefix: str) -> RunFolder:
    """Find a run by the first digits of its id; a variant's name alone gets a hint."""
    try:
        return root.find_run(prefix)
    except UsageError as error:
        cells = sorted(set[str]().union(*[names for names, _ in _cells(root)]))
        like = [each for each in cells if each.rpartition(":")[0] == prefix]
        if like:
            raise UsageError(f"{error}, or name its seed too: {_listed(like)}") from None
        close = difflib.get_close_matches(prefix, cells, n=1, cutoff=0.5)
        if not close or set(prefix) <= _DIGITS:
            raise
        raise UsageError(f"{error}; did you mean {close[0]!r}?") from None


def _cells(root: Root) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the names of each variant and seed of each sweep, the longest first, and its run."""
    for sweep in root.sweeps():
        try:
            plan = sweep.read_plan() or {"runs": []}
        except DamagedFileError:
            continue  # `sweep status` names it
        label = sweep.path.name
        hidden = is_forgotten(sweep.path)
        for run in plan["runs"]:
            cell = f"{run['variant']}:{run['seed']}"
            names = [f"{label}/{cell}", f"{plan['name']}/{cell}"]
            if not hidden:
                names.append(cell)
            yield tuple(names), run["run_id"]


def _hint(name: str, known: Iterable[str]) -> str:
    # Imported here, as what only looks at runs is not to wait for pydantic's models.
    from byol_core.config import nearest

    names = sorted(known)
    if not names:
        return "there is none yet"
    hint = nearest(name, names)
    return hint if hint.startswith("did") else f"there are: {_listed(names)}"


def _listed(names: list[str]) -> str:
    """Return the first names, and how many more there are."""
    if len(names) <= _SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[:_SHOWN])} and {len(names) - _SHOWN} more"
