"""Knows the folder tree of a root: where every file lies, and how to find runs and attempts.

It reads and names, and writes nothing but empty folders; docs/run-folders.md lists the files.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byol_core.files import (
    Cursor,
    DamagedFileError,
    RecordReader,
    make_folder,
    names_in,
    read_json,
)
from orchestrator.errors import StoreError, UsageError
from orchestrator.store.settings import settings_today
from orchestrator.store.shapes import (
    CLAIM,
    DESCRIPTION,
    DONE,
    EVALUATION,
    LOST,
    PLAN,
    check_event,
    checked,
)

if TYPE_CHECKING:
    from byol_core.config import TrainConfig

PREFIX = 10
"""Digits of a run id that people see; the whole id is stored."""
_RUN_ID_DIGITS = 64


@dataclass(frozen=True)
class AttemptFolder:
    """An attempt is one try at a run; its folder is ``attempts/0001``."""

    path: Path
    number: int

    @property
    def claim(self) -> Path:
        """claim.json says which process makes the attempt."""
        return self.path / "claim.json"

    @property
    def events(self) -> Path:
        """events.jsonl holds what happened, a line for each event; lines are only added."""
        return self.path / "events.jsonl"

    @property
    def done(self) -> Path:
        """done.json holds the result; its presence ends the run."""
        return self.path / "done.json"

    @property
    def lost(self) -> Path:
        """lost.json says that a launcher saw its worker die without a last word, and lived on."""
        return self.path / "lost.json"

    def read_claim(self) -> dict[str, Any] | None:
        """Return claim.json, None where there is none; raises as `read_json`."""
        return _read(self.claim, CLAIM)

    def read_done(self) -> dict[str, Any] | None:
        """Return done.json, None where there is none; raises as `read_json`."""
        return _read(self.done, DONE)

    def read_lost(self) -> dict[str, Any] | None:
        """Return lost.json, None where there is none; raises as `read_json`."""
        return _read(self.lost, LOST)

    def read_events(self, cursor: Cursor = Cursor()) -> RecordReader:  # noqa: B008 - immutable
        """Return a reader of the event log; a record without what it needs is a damaged line."""
        return RecordReader(self.events, cursor, check_event)

    @property
    def stdout(self) -> Path:
        """The file stdout holds what the job printed."""
        return self.path / "stdout"

    @property
    def stderr(self) -> Path:
        """The file stderr holds the job's warnings and errors."""
        return self.path / "stderr"


@dataclass(frozen=True)
class RunFolder:
    """A run is one variant with one seed; its folder is ``runs/<run_id>``."""

    path: Path

    @property
    def run_id(self) -> str:
        """The folder's name is the whole run id."""
        return self.path.name

    @property
    def description(self) -> Path:
        """run.json says what the run is: its config and what is kept of it."""
        return self.path / "run.json"

    @property
    def cancelled(self) -> Path:
        """cancelled.json is there while nobody is to make an attempt.

        A launch that asks for the run again deletes it.
        """
        return self.path / "cancelled.json"

    def attempt(self, number: int) -> AttemptFolder:
        """Return the folder of one attempt, there or not."""
        return AttemptFolder(self.path / "attempts" / f"{number:04d}", number)

    def attempts(self) -> list[AttemptFolder]:
        """Return the attempts that exist, first to last."""
        names = names_in(self.path / "attempts")
        numbers = sorted(int(name) for name in names if name.isdecimal())
        return [self.attempt(number) for number in numbers]

    def last_attempt(self) -> AttemptFolder | None:
        """Return the highest attempt, which alone counts; None before the first."""
        attempts = self.attempts()
        return attempts[-1] if attempts else None

    def read_description(self) -> dict[str, Any]:
        """Return run.json.

        Raises:
            StoreError: there is none.
            DamagedFileError: it is not that of this run.
        """
        description = _read(self.description, DESCRIPTION)
        if description is None:
            raise StoreError(f"{self.description}: missing; launch the sweep again to write it")
        if description["run_id"] != self.run_id:
            raise DamagedFileError(self.description, "it is that of another run")
        return description

    def settings(self) -> Mapping[str, Any]:
        """Return the run's canonical settings in today's words; raises as `read_description`."""
        description = self.read_description()
        return settings_today(description["canonical"], description["semantics"])

    def config(self) -> "TrainConfig":
        """Return the config that the run is trained with.

        Raises:
            StoreError: a trainer of other `SEMANTICS` made it, or what `read_description` does.
            DamagedFileError: as there, or no such config can be trained.
        """
        # Imported here, as what only looks at runs is not to wait for pydantic's models.
        from byol_core.config import SEMANTICS, TrainConfig

        description = self.read_description()
        if description["semantics"] != SEMANTICS:
            raise StoreError(
                f"run {self.run_id[:PREFIX]} is of SEMANTICS {description['semantics']}, and this "
                f"version trains under SEMANTICS {SEMANTICS}; launch its sweep again, which makes "
                "a run of its own"
            )
        text = json.dumps(description["config"])
        try:
            return TrainConfig.model_validate_json(text)
        except ValueError as error:
            problem = f"its config is not valid: {str(error).splitlines()[0]}"
            raise DamagedFileError(self.description, problem) from None

    def evaluations(self) -> Iterator[dict[str, Any]]:
        """Yield the results of each protocol; raises as `read_json`."""
        folder = self.path / "evaluations"
        for name in names_in(folder):
            if not name.endswith(".json") or name.startswith("."):
                continue
            evaluation = _read(folder / name, EVALUATION)
            if evaluation is not None:
                yield evaluation


@dataclass(frozen=True)
class SweepFolder:
    """A sweep is a launched spec; its folder is ``sweeps/<label>``."""

    path: Path

    @property
    def plan(self) -> Path:
        """plan.json holds variants, seeds and run ids as of the last launch."""
        return self.path / "plan.json"

    def read_plan(self) -> dict[str, Any] | None:
        """Return plan.json; None before the first launch.

        Raises:
            DamagedFileError: it is not one that a launch writes, or names a row twice.
        """
        plan = _read(self.plan, PLAN)
        if plan is None:
            return None
        if plan["label"] != self.path.name:
            raise DamagedFileError(self.plan, "it is that of another sweep")

        # An older version took two rows of one name; the database cannot hold both.
        names = [variant["name"] for variant in plan["variants"]]
        cells = [f"{run['variant']} seed {run['seed']}" for run in plan["runs"]]
        for words in (names, cells):
            if len(set(words)) < len(words):
                double = next(word for word in words if words.count(word) > 1)
                raise DamagedFileError(self.plan, f"it names {double!r} twice")
        return plan

    @property
    def launches(self) -> Path:
        """The folder launches/ holds the intent logs, one for each launcher."""
        return self.path / "launches"

    def intent_logs(self) -> list[Path]:
        """Return the intent logs that exist; raises as `names_in`."""
        names = names_in(self.launches)
        return [self.launches / name for name in names if name.endswith(".jsonl")]


@dataclass(frozen=True)
class Root:
    """A root is the folder that holds all sweeps and runs."""

    path: Path

    @property
    def lock(self) -> Path:
        """launcher.lock is held by the one launcher that may submit."""
        return self.path / "launcher.lock"

    def run(self, run_id: str) -> RunFolder:
        """Return the folder of a run, there or not."""
        return RunFolder(self.path / "runs" / run_id)

    def sweep(self, label: str) -> SweepFolder:
        """Return the folder of a sweep, there or not."""
        return SweepFolder(self.path / "sweeps" / label)

    def code_facts(self, sha: str) -> Path:
        """Return the file that says where a copy of the code came from, there or not.

        A diff of its changes may stand beside it.
        """
        return self.path / "code" / f"{sha}.json"

    def plugins(self, digest: str) -> Path:
        """Return the folder that parts of the user's own are imported from, there or not."""
        return self.path / "code" / f"plugins-{digest}"

    def packages(self, digest: str) -> Path:
        """Return the file that lists a set of installed packages, there or not."""
        return self.path / "packages" / f"{digest}.txt"

    def runs(self) -> list[RunFolder]:
        """Return every run."""
        return [
            RunFolder(path)
            for path in _entries(self.path / "runs")
            if len(path.name) == _RUN_ID_DIGITS
        ]

    def sweeps(self) -> list[SweepFolder]:
        """Return every sweep."""
        return [SweepFolder(path) for path in _entries(self.path / "sweeps")]

    def find_run(self, prefix: str) -> RunFolder:
        """Return the run whose id starts with `prefix`.

        Raises:
            UsageError: none does, or several do.
        """
        runs = [run for run in self.runs() if prefix and run.run_id.startswith(prefix)]
        if len(runs) == 1:
            return runs[0]
        if not runs:
            raise UsageError(f"no run starts with {prefix!r}; `sweep runs` lists them")
        shown = ", ".join(run.run_id[: PREFIX + 4] for run in runs[:5])
        raise UsageError(f"{len(runs)} runs start with {prefix!r}: {shown}; give more digits")

    def create(self) -> None:
        """Make the folders of a root, where they are missing.

        Raises:
            StoreError: the root cannot be written.
        """
        try:
            for name in ("sweeps", "runs"):
                make_folder(self.path / name)
        except OSError as error:
            raise StoreError(
                f"{self.path}: cannot be written: {error.strerror}; choose another --root"
            ) from None


def _read(file: Path, shape: object) -> dict[str, Any] | None:
    """Return what a file holds, None where there is none.

    Raises:
        DamagedFileError: it holds something else.
    """
    content = read_json(file)
    if content is None:
        # It may hold `null`, or have come in just now.
        if not file.exists():
            return None
        content = read_json(file)
    values: dict[str, Any] = checked(file, content, shape)
    return values


def wait_until_visible(file: Path, patience_s: float) -> None:
    """Wait for a file that another machine has written, for `patience_s` at most.

    It raises nothing: whoever reads the file says that it is missing.
    """
    deadline_s = time.monotonic() + patience_s
    while not file.exists() and time.monotonic() < deadline_s:
        time.sleep(min(1.0, patience_s / 10))

        # On NFS, reading the folder is what ends a remembered "not there".
        _entries(file.parent.parent)


def _entries(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted; none where it does not exist."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")
            )
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise StoreError(f"{folder}: is no folder; choose another --root") from None
    return [folder / name for name in names]
