"""Can results.db be opened, or made? Nothing is made here."""

import os
from pathlib import Path

from orchestrator.database.connect import named, open_database
from orchestrator.doctor.files import existing
from orchestrator.doctor.finding import Finding, fail, ok, warn
from orchestrator.errors import SweepError
from orchestrator.machine.filesystem import filesystem_of


def check_database(where: str) -> list[Finding]:
    """Look at the database that --db names: writable, of our schema version, on a disk that suits
    SQLite.
    """
    if "://" in where:
        return [_opened(where)]
    path = Path(where).absolute()
    return [_opened(where) if path.exists() else _place(path), disk(path)]


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


def _opened(where: str) -> Finding:
    try:
        open_database(where).dispose()
    except SweepError as error:
        return fail("database", str(error), "no result is lost: the run folders hold them all")
    return ok("database", f"{named(where)} can be written")


def _place(path: Path) -> Finding:
    if not os.access(existing(path), os.W_OK):
        return fail(
            "database", f"{path} cannot be made: no right to write there", "use another --db"
        )
    return ok("database", f"{path} will be made by the first launch")
