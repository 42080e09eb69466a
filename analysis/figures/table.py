"""A table as a picture: each row's mean with its interval and its seeds, beside the published
value.
"""

import io

from analysis.tables.build import Line, Table

_OURS, _PUBLISHED, _COLLAPSED = "#1f5f8b", "#b8541a", "#999999"


def draw(table: Table) -> bytes:
    """Return a PNG of a table, with or without runs; the best published row is at the top."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = [
        *reversed(table.lines)
    ]  # heights count from the bottom; equal values keep the table's order
    lines.sort(key=lambda line: line.row.published.value or 0.0)
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8.0, 1.6 + 0.42 * len(lines)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for height, line in enumerate(lines):
            _draw_line(axes, height, line)
        axes.set_yticks(range(len(lines)), [line.row.label for line in lines])
        axes.set_xlabel(
            f"accuracy in percent ({table.rows.protocol}, {table.rows.network} encoder)"
        )
        axes.set_xlim(-2, 102)
        axes.grid(axis="x", color="#e5e5e5")
        axes.set_axisbelow(True)
        axes.set_title(table.rows.title, loc="left", fontweight="bold")
        _legend(figure, table)
        picture = io.BytesIO()
        figure.savefig(picture, dpi=150)
    return picture.getvalue()


def _draw_line(axes, height: int, line: Line) -> None:  # type: ignore[no-untyped-def]
    published, summary = line.row.published.value, line.summary
    if published is not None:
        axes.plot(
            100 * published, height, marker="D", markersize=6, color=_PUBLISHED, linestyle="none"
        )
    if summary.mean is None:
        axes.annotate(line.state, (99, height), va="center", ha="right", color=_COLLAPSED)
        return
    collapsed = line.collapsed is not None and line.collapsed[0] == line.collapsed[1]
    colour = _COLLAPSED if collapsed else _OURS
    if summary.ci95:
        axes.plot([100 * end for end in summary.ci95], [height, height], color=colour, linewidth=2)
    axes.plot(100 * summary.mean, height, marker="o", markersize=7, color=colour, linestyle="none")
    axes.plot(
        [100 * v for v in line.values.values()],
        [height] * summary.n,
        marker="|",
        color=colour,
        linestyle="none",
        markersize=10,
    )


def _legend(figure, table: Table) -> None:  # type: ignore[no-untyped-def]
    from matplotlib.lines import Line2D

    ours = table.setting.summary_text() if table.setting else "no runs yet"
    handles = [
        Line2D([], [], marker="o", color=_OURS, label=f"ours, mean, 95% interval, seeds: {ours}"),
        Line2D([], [], marker="o", color=_COLLAPSED, label="ours, all runs collapsed"),
        Line2D(
            [],
            [],
            marker="D",
            color=_PUBLISHED,
            linestyle="none",
            label=f"published: {table.rows.published_setting}",
        ),
    ]
    figure.legend(handles=handles, loc="outside lower left", frameon=False, fontsize=8)
