"""Where the files and the database of a command are, from the global options, and how both are
opened and named.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine

from orchestrator.errors import OldSchemaError, StoreError, UsageError
from orchestrator.store.root import Root


class Places:
    """Where files and database are, from the global options."""

    root = Root(Path("sweep-runs").absolute())
    db = "results.db"
    debug = False


def database_for(dry_run: bool) -> Engine | None:
    """Open the database; a dry run makes none where there is none."""
    if dry_run and "://" not in Places.db and not Path(Places.db).exists():
        return None
    return opened()


def opened() -> Engine:
    """Open the database, to the root's group as well; one that an older version made is made again
    first.
    """
    from byol_core.files import open_like
    from orchestrator.database.connect import named, open_database

    try:
        engine = open_database(Places.db)
    except OldSchemaError:
        print(f"{named(Places.db)} was made by an older version of this program", file=sys.stderr)
        for line in rebuilt():
            print(line, file=sys.stderr)
        engine = open_database(Places.db)
    open_like(Path(Places.db), Places.root.path)
    return engine


def rebuilt() -> Iterator[str]:
    """Make the database again from the files; yield what to say about it."""
    from orchestrator.database.connect import named
    from orchestrator.database.rebuild import rebuild
    from orchestrator.slurm.queue import look_at_queue

    done = rebuild(Places.db, Places.root, look_at_queue(Places.root))
    yield f"made {named(Places.db)} again from the files: {done.runs} runs in {done.wall_s:.1f} s"
    if done.kept is not None:
        why = (
            f"it knows {len(done.missing)} runs whose folders are missing"
            if done.missing
            else "SQLite cannot read it"
        )
        yield f"the old database is kept as {near(done.kept)}: {why}"
    yield from (f"warning: {damaged}" for damaged in done.damaged)


def collected(wait: bool = False) -> Engine:
    """Bring the database up to date and return it."""
    from orchestrator.database.collect import collect
    from orchestrator.database.connect import shared_warning
    from orchestrator.slurm.queue import look_at_queue

    if not Places.root.path.exists() and "://" not in Places.db and not Path(Places.db).exists():
        raise UsageError(
            f"there is nothing in {Places.root.path} yet; start with `sweep launch sweeps/smoke.yaml`, or see --root"
        )
    engine = opened()
    damaged = collect(Places.root, engine, look_at_queue(Places.root), wait) or []
    for warning in (shared_warning(Places.db), *damaged):
        if warning is not None:
            print(f"warning: {warning}", file=sys.stderr)
    return engine


def open_to_group(name: str) -> None:
    """Open the root to a group; its mode says so from then on, to the database as well."""
    from byol_core.files import GroupError, find_group, share

    try:
        group = find_group(name)
    except GroupError as error:
        raise UsageError(str(error)) from None
    Places.root.create()
    share(Places.root.path, group)


def write_out(file: Path, content: bytes) -> None:
    """Write a file that was asked for with --out; it is the user's, so the umask says who may read
    it.
    """
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
