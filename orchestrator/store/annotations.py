"""Keeps what people say of runs and sweeps: notes, tags, exclusions, sweeps to be forgotten.

Each annotation is a file of its own in the folder ``annotations`` of its run or sweep. It is
written once and never changed, so that two people who annotate at once lose nothing and need no
lock. Where two annotations contradict each other, the newer counts.
"""

import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from byol_core.files import DamagedFileError, make_folder, read_json, write_json
from byol_core.files.durable import names_in
from orchestrator.errors import StoreError, UsageError
from orchestrator.machine.user import user_name
from orchestrator.store.shapes import checked, mismatch
from orchestrator.text import plain

FOLDER = "annotations"
_VERSION = 1
_MAX_TEXT = 2000
_TAG = re.compile(r"[\w.:/+-]{1,64}")
_TICK_S = 1e-6
_LATEST = 253_402_300_799
"""The last second of the year 9999."""


class Kind(StrEnum):
    """An annotation is of one of these kinds; the second of a pair takes the first back."""

    NOTE = "note"
    TAG = "tag"
    UNTAG = "untag"
    EXCLUDE = "exclude"
    INCLUDE = "include"
    FORGET = "forget"
    REMEMBER = "remember"


@dataclass(frozen=True)
class Annotation:
    """An annotation is one thing that somebody said of a run or a sweep.

    Attributes:
        file: the name of its file.
        kind: what it does.
        text: the note, the tag, or the reason; empty where none is needed.
        at: seconds since 1970.
        by: the name of a user.
    """

    file: str
    kind: Kind
    text: str
    at: float
    by: str


@dataclass(frozen=True)
class Remarks:
    """Holds what all annotations of a run or a sweep come to.

    Attributes:
        excluded: what keeps a run out of tables, None where nothing does.
        forgotten: what hides a sweep, None where nothing does.
        tags: sorted.
        notes: oldest first.
    """

    excluded: Annotation | None = None
    forgotten: Annotation | None = None
    tags: tuple[str, ...] = ()
    notes: tuple[Annotation, ...] = ()


def annotate(folder: Path, kind: Kind, text: str = "") -> Annotation:
    """Write an annotation beside those that are there.

    Args:
        folder: of the run or the sweep.
        kind: what it does.
        text: its spaces and line breaks become single spaces.

    Raises:
        UsageError: the text is missing or too long, or a tag is no word.
        StoreError: the folder cannot be written; nothing was changed.
    """
    text = _checked_text(kind, text)

    # What somebody says of an earlier word comes after it, though clocks of machines differ.
    known, _ = read_annotations(folder)
    at = max([time.time(), *(annotation.at + _TICK_S for annotation in known)])
    moment = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    annotation = Annotation(f"{moment}-{uuid.uuid4().hex[:8]}.json", kind, text, at, user_name())

    content: dict[str, Any] = {"version": _VERSION, **asdict(annotation)}
    del content["file"]
    try:
        make_folder(folder / FOLDER)
        write_json(folder / FOLDER / annotation.file, content)
    except OSError as error:
        raise StoreError(
            f"{folder / FOLDER}: cannot be written: {error.strerror}; nothing was changed"
        ) from None
    return annotation


def read_annotations(folder: Path) -> tuple[list[Annotation], list[str]]:
    """Return the annotations of a run or a sweep, oldest first, and what could not be read.

    A damaged one sets itself aside alone; the sentence about it names its file.
    """
    try:
        names = names_in(folder / FOLDER)
    except DamagedFileError as error:
        return [], [_set_aside(error)]

    annotations: list[Annotation] = []
    damaged: list[str] = []
    for name in names:
        # A name with a dot in front is that of a file still being written.
        if not name.endswith(".json") or name.startswith("."):
            continue
        try:
            annotations.append(_read(folder / FOLDER / name))
        except DamagedFileError as error:
            damaged.append(_set_aside(error))
    annotations.sort(key=lambda annotation: (annotation.at, annotation.file))
    return annotations, damaged


def remarks_of(annotations: Iterable[Annotation]) -> Remarks:
    """Return what annotations, oldest first, come to."""
    excluded: Annotation | None = None
    forgotten: Annotation | None = None
    tags: set[str] = set()
    notes: list[Annotation] = []
    for annotation in annotations:
        match annotation.kind:
            case Kind.NOTE:
                notes.append(annotation)
            case Kind.TAG:
                tags.add(annotation.text)
            case Kind.UNTAG:
                tags.discard(annotation.text)
            case Kind.EXCLUDE:
                excluded = annotation
            case Kind.INCLUDE:
                excluded = None
            case Kind.FORGET:
                forgotten = annotation
            case Kind.REMEMBER:
                forgotten = None
    return Remarks(excluded, forgotten, tuple(sorted(tags)), tuple(notes))


def read_remarks(folder: Path) -> Remarks:
    """Return what is said of a run or a sweep, without what is damaged."""
    annotations, _ = read_annotations(folder)
    return remarks_of(annotations)


def is_forgotten(folder: Path) -> bool:
    """Tell whether a sweep is hidden and asks for no run any more."""
    return read_remarks(folder).forgotten is not None


def _read(file: Path) -> Annotation:
    """Read one annotation; raises as `read_json`."""
    content = checked(file, read_json(file), _SHAPE)
    text, by = plain(content["text"]), plain(content["by"])
    return Annotation(file.name, Kind(content["kind"]), text, content["at"], by)


def _set_aside(error: DamagedFileError) -> str:
    return f"{error.path}: this annotation does not count: {error.problem}; move it away"


def _checked_text(kind: Kind, text: str) -> str:
    """Return a text on one line.

    Raises:
        UsageError: it cannot be that of an annotation of this kind.
    """
    words = plain(" ".join(text.split()))
    if not words and kind in _NEEDS_TEXT:
        raise UsageError(f"{kind} {text!r}: its text is empty; say in words what and why")
    if len(words) > _MAX_TEXT:
        raise UsageError(
            f"{kind} {words[:40]!r}…: has {len(words)} characters; "
            f"allowed are {_MAX_TEXT}, so put the rest into a file and name that"
        )
    if kind in (Kind.TAG, Kind.UNTAG) and not _TAG.fullmatch(words):
        raise UsageError(
            f"{kind} {text!r}: is no name of a tag; "
            "use one word of letters, digits and _ . : / + -, at most 64 of them"
        )
    return words


def _kind(value: Any) -> tuple[str, str] | None:
    return None if value in list(Kind) else ("", repr(value))


def _text(value: Any) -> tuple[str, str] | None:
    """Check a text: no database takes a NUL."""
    return mismatch(value, str) or (("", repr(value)) if "\0" in value else None)


def _moment(value: Any) -> tuple[str, str] | None:
    """Check a time: what is no date cannot be shown."""
    return mismatch(value, float) or (None if 0 <= value < _LATEST else ("", repr(value)))


_NEEDS_TEXT = frozenset({Kind.NOTE, Kind.TAG, Kind.UNTAG, Kind.EXCLUDE})
_SHAPE = {"version": int, "kind": _kind, "text": _text, "at": _moment, "by": _text}
