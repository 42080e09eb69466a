"""Cells of CSV files: numbers stay numbers, and no text is taken for a formula by a spreadsheet
(OWASP, CSV injection).
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")


def write_csv(file: TextIO, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write header and rows as they come; a text cell that starts like a formula gets a leading
    apostrophe.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_safe(cell) for cell in row] for row in rows)


def as_csv_text(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return the text of a file, as `write_csv` writes it."""
    buffer = io.StringIO()
    write_csv(buffer, header, rows)
    return buffer.getvalue()


def _safe(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
