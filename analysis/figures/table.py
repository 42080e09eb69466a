"""Draws a table: each row's mean with its interval and its seeds, beside the published value."""

from collections.abc import Sequence

from analysis.figures.files import file_of
from analysis.tables.build import Line, Table

_OURS = "#1f5f8b"
_PUBLISHED = "#b8541a"
_COLLAPSED = "#999999"


def draw(table: Table, format_: str = "png") -> bytes:
    """Return a picture of a table, with or without runs; the best published row is at the top."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Heights count from the bottom; reversed first, lines of equal value keep the table's order.
    lines = [*reversed(table.lines)]
    lines.sort(key=lambda line: line.row.published.value or 0.0)

    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8.0, 1.6 + 0.42 * len(lines)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for height, line in enumerate(lines):
            _draw_line(axes, height, line)

        axes.set_yticks(range(len(lines)), [line.row.label for line in lines])
        protocol = table.rows.protocol
        if table.setting is not None:
            protocol += f" version {table.setting.version}"
        axes.set_xlabel(f"accuracy in percent ({protocol}, {table.rows.network} encoder)")
        axes.set_xlim(-2, 102)
        axes.grid(axis="x", color="#e5e5e5")
        axes.set_axisbelow(True)
        axes.set_title(table.rows.title, loc="left", fontweight="bold")
        _legend(figure, table)

        return file_of(figure, format_)


def _draw_line(axes, height: int, line: Line) -> None:  # type: ignore[no-untyped-def]
    published = line.row.published.value
    if published is not None:
        _draw_points(axes, [published], height, _PUBLISHED, "D", 6)

    # A row without a mean shows its state instead.
    summary = line.summary
    if summary.mean is None:
        axes.annotate(line.state, (99, height), va="center", ha="right", color=_COLLAPSED)
        return

    # Grey means that every run collapsed.
    colour = _OURS
    if line.collapsed is not None and line.collapsed[0] == line.collapsed[1]:
        colour = _COLLAPSED
    if summary.ci95:
        axes.plot([100 * end for end in summary.ci95], [height, height], color=colour, linewidth=2)
    _draw_points(axes, [summary.mean], height, colour, "o", 7)
    _draw_points(axes, [*line.values.values()], height, colour, "|", 10)


def _draw_points(  # type: ignore[no-untyped-def]
    axes, fractions: Sequence[float], height: int, colour: str, marker: str, size: int
) -> None:
    percent = [100 * fraction for fraction in fractions]
    heights = [height] * len(percent)
    axes.plot(percent, heights, color=colour, marker=marker, markersize=size, linestyle="none")


def _legend(figure, table: Table) -> None:  # type: ignore[no-untyped-def]
    from matplotlib.lines import Line2D

    # Each label says which side it is of, and at which setting.
    setting = "no runs yet"
    if table.setting is not None:
        setting = table.setting.summary_text()
    ours = f"ours, mean, 95% interval, seeds: {setting}"
    published = f"published: {table.rows.published_setting}"
    handles = [
        Line2D([], [], marker="o", color=_OURS, label=ours),
        Line2D([], [], marker="o", color=_COLLAPSED, label="ours, all runs collapsed"),
        Line2D([], [], marker="D", color=_PUBLISHED, linestyle="none", label=published),
    ]
    figure.legend(handles=handles, loc="outside lower left", frameon=False, fontsize=8)
