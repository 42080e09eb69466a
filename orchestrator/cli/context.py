"""Opens and names the root and the database of a command, as the global options say.

`main` puts `Places` into the context of the command line, from which each command takes it.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.database.address import is_url
from orchestrator.errors import OldSchemaError, StoreError, UsageError
from orchestrator.store.root import Root

if TYPE_CHECKING:
    from sqlalchemy import Engine


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


def opened(places: Places) -> "Engine":
    """Open the database, to the root's group as well; make one of an older version anew first."""
    from byol_core.files import open_like
    from orchestrator.database.address import named
    from orchestrator.database.connect import open_database

    try:
        engine = open_database(places.db)
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
    """Bring the database up to date and return it."""
    from orchestrator.database.collect import collect
    from orchestrator.database.connect import shared_warning
    from orchestrator.slurm.queue import look_at_queue

    if not places.root.path.exists() and not places.has_database():
        raise UsageError(
            f"there is nothing in {places.root.path} yet; "
            "start with `sweep launch sweeps/smoke.yaml`, or see --root"
        )
    engine = opened(places)
    damaged = collect(places.root, engine, look_at_queue(places.root), wait) or []
    for warning in (shared_warning(places.db), *damaged):
        if warning is not None:
            print(f"warning: {warning}", file=sys.stderr)
    return engine


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
        file.absolute().parent.mkdir(parents=True, exist_ok=True)
        with output(file) as out:
            out.write(content)
    except OSError as error:
        raise StoreError(f"{file}: cannot be written: {error.strerror}") from None


def near(path: Path) -> str:
    """Return a path as people would type it from here."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
