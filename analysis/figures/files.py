"""Makes the file of a figure; one figure gives the same bytes whenever it is drawn."""

import io
from collections.abc import Mapping
from typing import Any

FIGURE_FORMATS: Mapping[str, Mapping[str, Any]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}
"""Format → what its file is not to hold: the time when it was drawn."""


def file_of(figure: Any, format_: str) -> bytes:
    """Return a figure as the content of a file; it is of the style of `drawing` around the call."""
    content = io.BytesIO()
    figure.savefig(content, format=format_, metadata=FIGURE_FORMATS[format_])
    return content.getvalue()
