"""Writes CSV files in which numbers stay numbers and no spreadsheet takes text for a formula.

See OWASP, CSV injection.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")


def write_csv(file: TextIO, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write header and rows as they come.

    A text cell that starts like a formula gets a leading apostrophe.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([_safe(cell) for cell in row])


def as_csv_text(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return the text of a file, as `write_csv` writes it."""
    buffer = io.StringIO()
    write_csv(buffer, header, rows)
    return buffer.getvalue()


def _safe(cell: Any) -> Any:
    if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS):
        return f"'{cell}"
    return cell
