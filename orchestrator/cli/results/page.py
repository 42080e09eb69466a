"""Writes the page of all tables, for `sweep report --all --out DIR`."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.cli.context import Places, collected, near, write_out
from orchestrator.cli.results.manifest import manifest_bytes
from orchestrator.errors import StoreError, UsageError


def write_page(places: Places, sweeps: Sequence[str], out: Path | None) -> None:
    """Write a page with every table, and each table's own files, into a folder.

    Args:
        places: root and database.
        sweeps: use only their runs; all where empty.
        out: the folder; it is made where it is missing.

    Raises:
        UsageError: no folder is named, or no sweep is called so.
        StoreError: a file cannot be written.
    """
    from analysis.errors import AnalysisError
    from analysis.page.files import INDEX, page_files

    if out is None:
        raise UsageError("--all writes a folder: name it, as in: sweep report --all --out report")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file, and --all writes a folder; name another")
    collected(places)
    try:
        for name, content in page_files(
            places.db, sweeps, lambda report: manifest_bytes(places, report)
        ):
            _make_folder((out / name).parent)
            write_out(out / name, content)
    except AnalysisError as error:
        raise UsageError(str(error)) from None
    print(f"wrote {near(out / INDEX)}, and each table as JSON, Markdown, CSV and PNG beside it")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be made: {error.strerror}; name another folder with --out"
        ) from None
