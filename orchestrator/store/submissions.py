"""Reads what launches have submitted, in the order in which they did.

Clocks jump, and those of two machines differ, so each submission has a number. What older versions
have submitted has none, and stands where its time puts it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from byol_core.files import DamagedFileError, RecordReader
from orchestrator.store.root import Root, SweepFolder
from orchestrator.store.shapes import check_launch
from orchestrator.text import counted


@dataclass
class Submission:
    """A submission is one array: its intent, and what is known to have followed.

    Attributes:
        log: where it is written.
        key: the name of its jobs.
        run_ids: what it is to run.
        intended_at: seconds since 1970, by the clock of its launcher.
        number: one more than any before it on its root; None where an older version submitted it.
        attempts: the highest attempt of each run then, 0 for none; empty where it is not known.
        job_ids: one per run once SLURM has them; runs of one job share its id.
        released: its jobs may start.
        withdrawn: when it was given up; None where it was not.
        may_come_late: SLURM gave no answer, so jobs of it may yet appear.
        request: what each of its runs has of its job; None where an older version submitted it.
    """

    log: Path
    key: str
    run_ids: list[str]
    intended_at: float
    number: int | None = None
    attempts: Sequence[int] = ()
    job_ids: list[str] = field(default_factory=list)
    released: bool = False
    withdrawn: float | None = None
    may_come_late: bool = False
    request: Mapping[str, Any] | None = None


def submissions(root: Root) -> list[Submission]:
    """Return every submission ever made on this root that was not withdrawn, the newest last."""
    return [entry for entry in all_submissions(root) if entry.withdrawn is None]


def all_submissions(root: Root) -> list[Submission]:
    """Return every submission ever made on this root, also those that were withdrawn."""
    return _in_order(chain.from_iterable(map(submissions_of, root.sweeps())))


def next_number(root: Root) -> int:
    """Return the number of a new submission; the caller holds the launcher lock."""
    return 1 + max((entry.number or 0 for entry in all_submissions(root)), default=0)


def _in_order(entries: Iterable[Submission]) -> list[Submission]:
    """Sort by number; one without a number comes behind those that its time is behind."""
    by_time = sorted(entries, key=lambda entry: entry.intended_at)
    places: list[tuple[int, float, Submission]] = []
    highest = 0
    for entry in by_time:
        if entry.number is None:
            places.append((highest, entry.intended_at, entry))
        else:
            highest = max(highest, entry.number)
            places.append((entry.number, 0.0, entry))
    return [entry for _, _, entry in sorted(places, key=lambda place: place[:2])]


def submissions_of(sweep: SweepFolder) -> Iterator[Submission]:
    """Yield the submissions of a sweep; `damaged_logs` names what cannot be read."""
    with suppress(DamagedFileError):
        for file in sweep.intent_logs():
            with suppress(DamagedFileError):
                yield from _read(RecordReader(file, check=check_launch))


@dataclass(frozen=True)
class DamagedLog:
    """Names a log of which a part cannot be read, so that jobs may be there that it does not tell.

    Attributes:
        sweep: whose.
        file: the log, or the folder of all logs.
        job_names: what the names of its jobs begin with.
        problem: a sentence that names the file.
    """

    sweep: SweepFolder
    file: Path
    job_names: str
    problem: str


def damaged_logs(root: Root) -> Iterator[DamagedLog]:
    """Yield each log that cannot be read as a whole."""
    for sweep in root.sweeps():
        try:
            files = sweep.intent_logs()
        except DamagedFileError as error:
            yield DamagedLog(sweep, sweep.launches, "sweep-", _named(error))
            continue
        for file in files:
            problem = _problem_of(file)
            if problem is not None:
                yield DamagedLog(sweep, file, f"sweep-{file.stem}-", problem)


def _named(error: DamagedFileError) -> str:
    """Name a file without the advice to move it away: its jobs would go out twice."""
    return f"{error.path}: damaged, {error.problem}"


def _problem_of(file: Path) -> str | None:
    """Say what is wrong with a log; None where all of it can be read."""
    reader = RecordReader(file, check=check_launch)
    try:
        list(_read(reader))
    except DamagedFileError as error:
        return _named(error)
    if not reader.damage:
        return None
    lines = counted(len(reader.damage), "line")
    return f"{file}: damaged, {lines} cannot be read ({reader.damage[0].reason})"


def _read(reader: RecordReader) -> Iterator[Submission]:
    """Yield the submissions of one log, each as its last record leaves it."""
    by_key: dict[str, Submission] = {}
    for record in reader:
        key = record["key"]
        if record["type"] == "intent":
            by_key[key] = Submission(
                reader.path,
                key,
                record["run_ids"],
                record["at"],
                number=record.get("number"),
                attempts=record.get("attempts", ()),
                request=record.get("asked"),
            )
        elif key in by_key:  # not so where the line of the intent is damaged
            _follow(by_key[key], record)
    yield from by_key.values()


def _follow(submission: Submission, record: Mapping[str, Any]) -> None:
    """Note in a submission what came after its intent."""
    match record["type"]:
        case "acknowledged":
            submission.job_ids = record["job_ids"]
        case "released":
            submission.released = True
        case "withdrawn":
            submission.withdrawn = record["at"]
            submission.may_come_late = record["may_come_late"]
