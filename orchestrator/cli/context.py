"""Opens and names the root and the database of a command, as the global options say.

`main` puts `Places` into the context of the command line, from which each command takes it.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.database.address import is_url
from orchestrator.errors import BusyError, OldSchemaError, StoreError, UsageError
from orchestrator.store.names import nothing_there
from orchestrator.store.root import Root

if TYPE_CHECKING:
    from sqlalchemy import Engine


_SILENT_S = 2.0
"""How long another program may hold the database before that is said."""
_PATIENT_S = 3.0
"""How much longer, before the database is shown as it is."""
_FRESH_S = 15.0


@dataclass(frozen=True)
class Places:
    """Says where files and database are, from the global options.

    Attributes:
        root: the folder of all sweeps and runs.
        db: the database: a path or a URL.
    """

    root: Root
    db: str

    def has_database(self) -> bool:
        """Tell whether the database is there; a URL is taken for one that is."""
        return is_url(self.db) or Path(self.db).exists()


def database_for(places: Places, dry_run: bool) -> "Engine | None":
    """Open the database; a dry run makes none where there is none."""
    if dry_run and not places.has_database():
        return None
    return opened(places)


def opened(places: Places, patience_s: float = 30.0) -> "Engine":
    """Open the database, to the root's group as well; make one of an older version anew first."""
    from byol_core.files import open_like
    from orchestrator.database.address import named
    from orchestrator.database.connect import open_database

    try:
        engine = open_database(places.db, patience_s)
    except OldSchemaError:
        print(f"{named(places.db)} was made by an older version of this program", file=sys.stderr)
        for line in rebuilt(places):
            print(line, file=sys.stderr)
        engine = open_database(places.db)
    open_like(Path(places.db), places.root.path)
    return engine


def rebuilt(places: Places) -> Iterator[str]:
    """Make the database again from the files; yield what to say about it."""
    from orchestrator.database.address import named
    from orchestrator.database.rebuild import rebuild
    from orchestrator.slurm.queue import look_at_queue

    done = rebuild(places.db, places.root, look_at_queue(places.root))
    yield f"made {named(places.db)} again from the files: {done.runs} runs in {done.wall_s:.1f} s"

    # The old database is kept where it may hold what no file does.
    if done.kept is not None:
        why = "SQLite cannot read it"
        if done.missing:
            why = f"it knows {len(done.missing)} runs whose folders are missing"
        yield f"the old database is kept as {near(done.kept)}: {why}"
    for damaged in done.damaged:
        yield f"warning: {damaged}"


def collected(places: Places, wait: bool = False) -> "Engine":
    """Bring the database up to date and return it; one that cannot be written, as it is.

    Args:
        places: which database, and of which root.
        wait: wait for whoever writes it, as long as that takes.
    """
    from orchestrator.database.connect import shared_warning

    if not places.root.path.exists() and not places.has_database():
        raise nothing_there(places.root)
    try:
        engine = _opened_patiently(places)
        warnings: list[str | None] = [shared_warning(places.db)]
        warnings += _collect(places, engine, wait)
    except StoreError as error:
        if wait:
            raise
        engine, warning = _as_it_is(places, error)
        warnings = [warning]
    for text in filter(None, warnings):
        print(f"warning: {text}", file=sys.stderr)
    return engine


def _opened_patiently(places: Places) -> "Engine":
    """Open the database; say what is waited for where another program holds it."""
    try:
        return opened(places, _SILENT_S)
    except BusyError:
        _say_waiting(places)
        return opened(places, _PATIENT_S)


def _collect(places: Places, engine: "Engine", wait: bool) -> list[str]:
    """Bring the database up to date, as far as others let us; return what is to be said of it."""
    from orchestrator.database.collect import collect
    from orchestrator.database.roots import last_pass
    from orchestrator.slurm.queue import look_at_queue

    queue = look_at_queue(places.root)
    damaged = collect(places.root, engine, queue, wait, _SILENT_S)
    if damaged is not None:
        return damaged

    # Another collector of ours has just been here, or another program holds the database.
    collected_at = last_pass(engine, places.root)
    if collected_at is not None and time.time() - collected_at < _FRESH_S:
        return []
    _say_waiting(places)

    # What was never collected shows nothing: whoever is at it is waited for.
    wait = wait or collected_at is None
    damaged = collect(places.root, engine, queue, wait, _PATIENT_S)
    if damaged is not None:
        return damaged
    return [f"{_named(places)} is still being written; {_shown_as_of(engine, places)}"]


def _as_it_is(places: Places, error: StoreError) -> "tuple[Engine, str]":
    """Open a database that cannot be written, to read it; say how old it is.

    Raises:
        StoreError: `error`, where it cannot be read either.
    """
    from orchestrator.database.connect import open_to_read

    try:
        engine = open_to_read(places.db)
    except StoreError:
        raise error from None
    return engine, f"{_named(places)} cannot be written; {_shown_as_of(engine, places)}"


def _shown_as_of(engine: "Engine", places: Places) -> str:
    """Say of when a database is that could not be brought up to date."""
    from orchestrator.database.roots import last_pass

    collected_at = last_pass(engine, places.root)
    if collected_at is None:
        return "shown as it is"
    then = time.localtime(collected_at)
    form = "%H:%M" if then[:3] == time.localtime()[:3] else "%Y-%m-%d %H:%M"
    return f"shown as of {time.strftime(form, then)}"


def _say_waiting(places: Places) -> None:
    print(f"waiting for {_named(places)}: another program is writing it", file=sys.stderr)


def _named(places: Places) -> str:
    from orchestrator.database.address import named

    return named(places.db)


def open_to_group(root: Root, name: str) -> None:
    """Open the root to a group; its mode says so from then on, to the database as well."""
    from byol_core.files import GroupError, find_group, share

    try:
        group = find_group(name)
    except GroupError as error:
        raise UsageError(str(error)) from None
    root.create()
    share(root.path, group)


def write_out(file: Path, content: bytes) -> None:
    """Write a file for --out; it is the user's, so the umask says who may read it."""
    from byol_core.files import output

    try:
        with output(file) as out:
            out.write(content)
    except OSError as error:
        raise StoreError(f"{file}: cannot be written: {error.strerror}") from None


def near(path: Path) -> str:
    """Return a path as people would type it from here."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (ValueError, FileNotFoundError):  # elsewhere, or this folder was deleted meanwhile
        return str(path)


def working_folder() -> Path:
    """Return the folder that a command is run in.

    Raises:
        UsageError: it was deleted, so that no path of the command line means anything.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError(
            "the folder that you are in was deleted; change to one that exists (cd), "
            "and run the command there"
        ) from None
