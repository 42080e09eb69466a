"""Names the formats of a table, and renders it in one: text of several kinds, or its figure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from analysis.figures.files import FIGURE_FORMATS
from analysis.render.csv_table import as_csv
from analysis.render.grid import Style
from analysis.render.json_table import as_json
from analysis.render.latex import as_latex, as_latex_matrix
from analysis.render.markdown import as_markdown
from analysis.render.matrix import as_matrix
from analysis.render.text import as_text
from analysis.tables.tidy import Report


@dataclass(frozen=True)
class Layout:
    """How a table is laid out.

    Attributes:
        style: how numbers are written.
        name: `rows`, or `matrix` as the paper prints table norm.
        width: of a page of text in characters; None for all columns.
        figure: the kind of a picture.
    """

    style: Style = field(default_factory=Style)
    name: str = "rows"
    width: int | None = 120
    figure: str = "rows"


def _text(report: Report, layout: Layout) -> str:
    if layout.name == "matrix":
        return as_matrix(report, layout.style, layout.width)
    return as_text(report, layout.style, layout.width)


def _latex(report: Report, layout: Layout) -> str:
    if layout.name == "matrix":
        return as_latex_matrix(report, layout.style)
    return as_latex(report, layout.style, wide=layout.width is None)


TEXT_FORMATS: Mapping[str, Callable[[Report, Layout], str]] = {
    "text": _text,
    "md": lambda report, layout: as_markdown(report, layout.style),
    "latex": _latex,
    "csv": lambda report, layout: as_csv(report),
    "json": lambda report, layout: as_json(report),
}
FORMATS = (*TEXT_FORMATS, *FIGURE_FORMATS)
LAYOUTS = ("rows", "matrix")
IN_LAYOUTS = ("text", "latex")
"""The formats that have other layouts than rows."""
STYLES_OF_MATRIX = ("--unit", "--digits", "--wide")
"""The options of style that a matrix follows."""


def render(report: Report, format_: str, layout: Layout) -> bytes:
    """Return a table as the content of a file; a figure loads matplotlib.

    Raises:
        NoMatrixError: the table has no matrix layout.
        NoFigureError: the table has no such figure.
    """
    if format_ in TEXT_FORMATS:
        return f"{TEXT_FORMATS[format_](report, layout)}\n".encode()
    from analysis.figures.kinds import draw

    return draw(report, layout.figure, format_)
