"""Makes a database of some runs alone, from their files, for as long as a block lasts."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from byol_core.files import remove_tree
from orchestrator.database.collect import collect_into
from orchestrator.database.connect import open_database, writing
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root, RunFolder, SweepFolder


@dataclass(frozen=True)
class _Part(Root):
    """A root of which only some runs are seen, and no sweep."""

    run_ids: Sequence[str] = ()

    def runs(self) -> list[RunFolder]:
        """Return those runs that are there."""
        folders = [self.run(run_id) for run_id in self.run_ids]
        return [folder for folder in folders if folder.path.is_dir()]

    def sweeps(self) -> list[SweepFolder]:
        """Return none."""
        return []


@contextmanager
def database_of(runs: Sequence[RunFolder]) -> Iterator[tuple[str, list[str]]]:
    """Make a database of these runs; nothing is written into their root.

    Yields:
        Its address, and what could not be read, a sentence each.
    """
    homes: dict[Path, list[str]] = {}
    for run in runs:
        homes.setdefault(run.path.parent.parent, []).append(run.run_id)

    folder = Path(tempfile.mkdtemp(prefix="sweep-verify-"))
    try:
        address = str(folder / "runs.db")
        engine = open_database(address)
        damaged: list[str] = []
        with writing(engine) as connection:
            for home, run_ids in homes.items():
                damaged += collect_into(_Part(home, run_ids), connection, Queue())
        engine.dispose()
        yield address, damaged
    finally:
        remove_tree(folder)
