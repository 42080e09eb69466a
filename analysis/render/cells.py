"""Makes the cells of a line as people read them: percent, and a dash for nothing.

Text and Markdown share them.
"""

from analysis.papers.printed import Published
from analysis.tables.build import EXCLUDED, Line, Table
from analysis.tables.stats import Difference, Summary

NOTHING = "–"


def header(table: Table) -> list[str]:
    """Return the column headings."""
    headings = [
        "row",
        "published",
        "ours",
        "vs baseline",
        "p",
        "n",
        "collapsed",
        "std·√d",
        "cos + / −",
    ]
    if _has_cosines(table):
        headings.append("published")
    headings.append("state")
    return headings


def cells(line: Line, table: Table) -> list[str]:
    """Return a line's cells, one per heading."""
    texts = [
        line.row.label,
        published(line.row.published),
        mean(line.summary),
        _delta(line, table),
        _p(line.p_holm),
        str(line.summary.n or NOTHING),
        collapsed(line),
        _two_digits(line.final.get("std_sqrt_d")),
        _pair(line.final.get("positive_cosine"), line.final.get("negative_cosine")),
    ]
    if _has_cosines(table):
        texts.append(_published_pair(line.row.published))
    # Where all runs are excluded, the mark says so with its reason.
    state = [] if line.state.startswith(EXCLUDED) else [line.state]
    texts.append("; ".join([*state, *map(_in_cell, line.marks)]))
    return texts


def _in_cell(mark: str) -> str:
    """Return a mark without the reasons that people gave, which stand below the table."""
    if mark.startswith(EXCLUDED):
        return mark.partition(":")[0]
    return mark


def published(printed: Published) -> str:
    """Return the published value with its spread, as it was printed."""
    return printed.text or NOTHING


def mean(summary: Summary) -> str:
    """Return the mean with half the width of its interval."""
    if summary.mean is None or summary.ci95 is None:
        return percent(summary.mean)
    return f"{100 * summary.mean:.1f} ±{100 * (summary.ci95[1] - summary.mean):4.1f}"


def percent(fraction: float | None) -> str:
    """Return a fraction in percent with one digit."""
    if fraction is None:
        return NOTHING
    return f"{100 * fraction:.1f}"


def collapsed(line: Line) -> str:
    """Return how many runs collapsed, of those that could."""
    if line.collapsed is None:
        return NOTHING
    return f"{line.collapsed[0]}/{line.collapsed[1]}"


def _has_cosines(table: Table) -> bool:
    return any(row.published.positive_cosine is not None for row in table.rows.rows.values())


def _delta(line: Line, table: Table) -> str:
    if line.row.key in table.rows.baselines:
        return "baseline"
    if line.difference is None:
        return NOTHING
    return _difference(line.difference)


def _difference(difference: Difference) -> str:
    """Return a difference in points, with its interval where it has one."""
    delta = f"{100 * difference.delta:+.1f}"
    if difference.ci95 is None:
        return delta
    low, high = difference.ci95
    return f"{delta} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _two_digits(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.2f}"


def _pair(positive: float | None, negative: float | None) -> str:
    if positive is None or negative is None:
        return NOTHING
    return f"{positive:.2f} / {negative:.2f}"


def _published_pair(printed: Published) -> str:
    """Return the published cosines; those that were measured on a figure are marked with ≈."""
    pair = _pair(printed.positive_cosine, printed.negative_cosine)
    if printed.cosines_printed or pair == NOTHING:
        return pair
    return f"≈{pair}"


def _p(p: float | None) -> str:
    if p is None:
        return NOTHING
    if p < 0.001:
        return "<.001"
    return f"{p:.3f}".lstrip("0")
