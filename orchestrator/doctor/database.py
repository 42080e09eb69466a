"""Checks whether results.db can be opened, or made; makes nothing."""

import os
from pathlib import Path

from orchestrator.database.address import is_url, named
from orchestrator.database.connect import open_database
from orchestrator.doctor.files import existing
from orchestrator.doctor.finding import Finding, fail, ok, warn
from orchestrator.errors import SweepError
from orchestrator.machine.filesystem import filesystem_of


def check_database(address: str) -> list[Finding]:
    """Check that the database of --db can be written, and lies on a disk that suits SQLite."""
    if is_url(address):
        return [_opened(address)]
    path = Path(address).absolute()
    if path.exists():
        return [_opened(address), disk(path)]
    return [_place(path), disk(path)]


def disk(path: Path) -> Finding:
    """Tell whether it is on a file system where SQLite's locks hold."""
    system = filesystem_of(path)
    text = f"{path} is on {system.kind}"
    if system.is_network:
        return warn(
            "database's disk",
            f"{text}, where SQLite's locks may fail",
            "use --db on a local disk: it is only an index",
        )
    return ok("database's disk", text)


def _opened(address: str) -> Finding:
    try:
        open_database(address).dispose()
    except SweepError as error:
        return fail("database", str(error), "no result is lost: the run folders hold them all")
    return ok("database", f"{named(address)} can be written")


def _place(path: Path) -> Finding:
    if not os.access(existing(path), os.W_OK):
        return fail(
            "database", f"{path} cannot be made: no right to write there", "use another --db"
        )
    return ok("database", f"{path} will be made by the first launch")
