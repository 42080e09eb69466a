"""Compares the rows of a table with their baselines: differences, p, and whether they may be compared.

What a row is compared with is judged with it: runs of another trainer, device or version are marked
in the row that differs from its baseline, not only where one row mixes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from analysis.papers.rows import TableRows
from analysis.results.runs import Run
from analysis.tables.line import Line
from analysis.tables.marks import Code, Mark, has
from analysis.tables.stats import Difference, holm, paired_difference

_MIXABLE = (
    "trainer code",
    "compute path",
    "device",
    "device model",
    "processor capability",
    "python",
    "torch",
    "torchvision",
    "numpy",
    "scikit-learn",
)
UNTRAINED = "random"
"""The method of rows that train nothing."""
_RANK = "effective_rank"
_FEW = 0.25
_UNTESTED = (Code.SPLIT, Code.DEAD_KNOB, Code.DEAD_SEED)
"""Marks of rows whose difference has neither interval nor p."""


def compare(table: TableRows, lines: Mapping[str, Line], rounding: float) -> list[Line]:
    """Add differences from the baselines, with p over all comparisons that the table plans."""
    compared: dict[str, Line] = {}
    for key, line in lines.items():
        baseline = table.baseline_of(line.row)
        if baseline is None or baseline.key == key:
            compared[key] = _beside(line, _reference(table, lines) or line)
        else:
            compared[key] = _against(line, lines[baseline.key], rounding)

    untrained = next((line for line in lines.values() if line.row.method == UNTRAINED), None)
    if untrained is not None:
        compared = {
            key: replace(line, marks=[*line.marks, *_uninformative(line, untrained)])
            for key, line in compared.items()
        }

    p_values: dict[str, float] = {}
    for key, line in compared.items():
        if line.difference is not None and line.difference.p is not None:
            p_values[key] = line.difference.p
    adjusted = holm(p_values, planned_comparisons([*compared.values()]))
    return [replace(line, p_holm=adjusted.get(key)) for key, line in compared.items()]


def planned_comparisons(lines: Sequence[Line]) -> int:
    """Count the differences that a table plans, done or not."""
    return sum(line.baseline is not None and not line.row.not_run for line in lines)


def _reference(table: TableRows, lines: Mapping[str, Line]) -> Line | None:
    """Return the row that those without a baseline of their method stand beside.

    It is the first baseline that has runs, or else the first row.
    """
    for key in (*table.baselines, *lines):
        if lines[key].values:
            return lines[key]
    return None


def _beside(line: Line, reference: Line) -> Line:
    """Return a line that has no difference, with the marks of a reader's comparison."""
    return replace(line, marks=[*line.marks, *_marks_of_pair(line, reference)])


def _marks_of_pair(line: Line, other: Line) -> list[Mark]:
    """Return the marks of two rows that are compared."""
    return [
        *_mixed(line, other),
        *_tuned_apart(line, other),
        *_unequal_n(line, other),
        *_few_dimensions(line, other),
    ]


def _against(line: Line, baseline: Line, rounding: float) -> Line:
    """Return a line with its difference from its baseline, and the marks of the pair."""
    marks = [*line.marks, *_marks_of_pair(line, baseline)]
    if _is_dead_knob(line, baseline):
        marks.append(Mark(Code.DEAD_KNOB, str(Code.DEAD_KNOB)))

    difference = paired_difference(line.values, baseline.values, rounding)
    split = any(has([*marks, *baseline.marks], code) for code in _UNTESTED)
    if difference is not None and split:
        difference = _untested(difference)
    return replace(line, baseline=baseline.row.key, difference=difference, marks=marks)


def _untested(difference: Difference) -> Difference:
    return replace(difference, ci95=None, p=None)


def _mixed(line: Line, other: Line) -> list[Mark]:
    """Return the mark of what ran elsewhere than the row that it is compared with, or in two places."""
    if not line.values:
        return []
    differing: list[str] = []
    for name in _MIXABLE:
        own = _origins(line.counted_runs, name)
        theirs = _origins(other.counted_runs, name)
        if len(own) > 1:
            differing.append(f"{name} {' | '.join(sorted(own))}")
        elif theirs and own != theirs:
            differing.append(f"{name} {', '.join(own)} for {' | '.join(sorted(theirs))}")
    if not differing:
        return []
    return [Mark(Code.MIXED, str(Code.MIXED), "; ".join(differing))]


def _origins(runs: Sequence[Run], name: str) -> set[str]:
    """Return what runs were made with, by a name of their origin."""
    return {_short(run.origin.get(name)) for run in runs}


def _short(value: Any) -> str:
    """Return the first digits of a digest, and all of anything shorter."""
    if value is None:
        return "not recorded"
    text = str(value)
    return text[:10] if len(text) >= 40 else text


def _tuned_apart(line: Line, baseline: Line) -> list[Mark]:
    """Return the mark of companion keys that the baseline has at another value."""
    if not line.runs or not baseline.runs:
        return []
    pairs: list[str] = []
    for key, value in line.own.items():
        other = baseline.runs[0].config.get(key)
        if value != other:
            pairs.append(f"{key} {value} for {other}")
    if not pairs:
        return []
    return [Mark(Code.TUNED_APART, str(Code.TUNED_APART), ", ".join(pairs))]


def _unequal_n(line: Line, other: Line) -> list[Mark]:
    """Return the mark of rows with different numbers of values."""
    counts = (line.summary.n, other.summary.n)
    if 0 in counts or counts[0] == counts[1]:
        return []
    return [Mark(Code.UNEQUAL_N, str(Code.UNEQUAL_N), f"{counts[0]} for {counts[1]}")]


def _few_dimensions(line: Line, other: Line) -> list[Mark]:
    """Return the mark of projections with far fewer dimensions than those of the other row."""
    own = line.final.get(_RANK)
    theirs = other.final.get(_RANK)
    if own is None or theirs is None or own >= _FEW * theirs:
        return []
    return [Mark(Code.FEW_DIMENSIONS, str(Code.FEW_DIMENSIONS), f"{own:.1f} for {theirs:.1f}")]


def _uninformative(line: Line, untrained: Line) -> list[Mark]:
    """Return the mark of a trained row that is not above the encoder that was never trained."""
    mean = line.summary.mean
    control = untrained.summary.mean
    if line.row.method == UNTRAINED or mean is None or control is None or mean > control:
        return []
    detail = f"{100 * mean:.1f} beside {100 * control:.1f}"
    return [Mark(Code.UNINFORMATIVE, str(Code.UNINFORMATIVE), detail)]


def _is_dead_knob(line: Line, baseline: Line) -> bool:
    """Tell whether a row's every number equals the baseline's, seed by seed."""
    theirs = {run.seed: run for run in baseline.counted_runs}
    pairs = [(run, theirs[run.seed]) for run in line.counted_runs if run.seed in theirs]
    if not pairs:
        return False
    return all(_equal(run, other, line, baseline) for run, other in pairs)


def _equal(run: Run, other: Run, line: Line, baseline: Line) -> bool:
    same_value = line.values[run.seed] == baseline.values[other.seed]
    return same_value and bool(run.final) and run.final == other.final
