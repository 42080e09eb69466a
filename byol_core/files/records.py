"""Keeps append-only logs of JSON records, each a line with a sequence number and a checksum.

A line is ``{"seq":7,...,"crc":"1c291ca3"}``; the checksum is CRC-32 of everything before it. One
process writes a log; any number may read it, from a cursor, while it grows. A last line without a
newline waits for its rest; a damaged line in the middle is reported and skipped, and the rest is
read. JSON knows no NaN, and UTF-8 no stray bytes of file names: non-finite numbers travel as text,
such bytes as escapes that are not turned back.

After an I/O error the log goes on in a new segment, ``events.jsonl.1``, which begins with every
record that was not known to be on the disk: what a file holds behind a failed fsync cannot be told
(Rebello et al., ATC 2020, "Can Applications Recover from fsync Failures?"). So a record may be read
twice; its sequence number is the same.
"""

import math
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json  # three to six times as fast as json

from byol_core.files.access import create_file
from byol_core.files.durable import is_there, read_bytes, sync_folder, write_all

_CRC_MARK = b',"crc":"'
_TAIL_BYTES = len(_CRC_MARK) + len('00000000"}')
_NON_FINITE_MARK = b'"non_finite"'
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True)
class Damage:
    """Tells of a line that could not be read: where it starts and what is wrong with it."""

    offset: int
    reason: str


class Cursor(NamedTuple):
    """Marks a place in a log: the number of the segment, and the byte in it."""

    segment: int = 0
    offset: int = 0


class RecordLog:
    """Writes one log; several threads may.

    Args:
        path: file to create or to go on with; sequence numbers go on behind the last whole line.
        sync_every_s: a record that nobody asked to be durable is on the disk after about this time,
            if more follow.
    """

    def __init__(self, path: Path, sync_every_s: float = 5.0) -> None:
        self._path = path
        self._sync_every_s = sync_every_s
        self._segment = _last_segment(path)
        self._seq = 1 + max((record["seq"] for record in RecordReader(path)), default=-1)
        self._unsynced: list[bytes] = []
        self._failed = False
        self._torn = False
        self._descriptor = -1
        self._synced_s = 0.0
        self._lock = threading.Lock()
        self._open()

    def append(self, record: dict[str, Any], durable: bool = False) -> None:
        """Write one record; with `durable` it has reached the disk when this returns.

        Raises:
            OSError: the disk is full or fails, and a new segment on it does too; the record is kept
                for the next append.
        """
        with self._lock:
            line = encode(self._seq, record)
            self._seq += 1
            self._unsynced.append(line)

            def write() -> None:
                self._write(line)
                if durable or time.monotonic() - self._synced_s >= self._sync_every_s:
                    self._sync()

            self._or_start_segment(write)

    def sync(self) -> None:
        """Bring every record so far to the disk; raises what `append` raises."""
        with self._lock:
            if self._unsynced:
                self._or_start_segment(self._sync)

    def close(self) -> None:
        """Sync and close.

        Raises:
            OSError: what was written last may not have reached the disk.
        """
        try:
            self.sync()
        finally:
            os.close(self._descriptor)

    def __enter__(self) -> "RecordLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> None:
        """Open the segment, and close the one before."""
        path = segment_path(self._path, self._segment)
        is_new = not path.exists()
        self._torn = not is_new and _ends_torn(path)
        descriptor = create_file(path, os.O_WRONLY | os.O_APPEND)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        self._synced_s = time.monotonic()
        if is_new:
            sync_folder(path.parent)

    def _or_start_segment(self, action: Callable[[], None]) -> None:
        """Do it; if that fails, or something failed before, write all again to a new segment."""
        try:
            if not self._failed:
                return action()
        except OSError:
            self._failed = True
        self._start_segment()

    def _start_segment(self) -> None:
        self._segment = _last_segment(self._path) + 1
        self._open()
        for line in self._unsynced:
            self._write(line)
        self._sync()
        self._failed = False

    def _write(self, line: bytes) -> None:
        # A line that was torn must not swallow the one behind it.
        if self._torn:
            line = b"\n" + line
        write_all(self._descriptor, line)
        self._torn = False

    def _sync(self) -> None:
        os.fsync(self._descriptor)
        self._unsynced.clear()
        self._synced_s = time.monotonic()


class RecordReader:
    """Reads the whole records of a log from `cursor` on.

    After iteration, `cursor` is where the next reader goes on and `damage` lists what was skipped.

    Args:
        path: of the log.
        cursor: where to begin.
        check: called with each record; a ValueError of it makes the line a damaged one.
    """

    def __init__(
        self,
        path: Path,
        cursor: Cursor = Cursor(),  # noqa: B008 - immutable
        check: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        self.path = path
        self.cursor = cursor
        self._check = check
        self.damage: list[Damage] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            # Looked up before reading: where a later segment exists, this one grows no more.
            is_last = not is_there(segment_path(self.path, self.cursor.segment + 1))
            yield from self._read_segment()
            if is_last:
                return
            self.cursor = Cursor(self.cursor.segment + 1)

    def _read_segment(self) -> Iterator[dict[str, Any]]:
        """Read up to the last newline.

        A torn end waits for its rest, or stands whole in the next segment.
        """
        segment, offset = self.cursor
        chunk = _read_from(segment_path(self.path, segment), offset)
        end = chunk.rfind(b"\n") + 1
        start = 0
        while start < end:
            stop = chunk.index(b"\n", start)
            line = chunk[start:stop]
            line_offset = offset + start
            start = stop + 1

            # Set before the record is handed out: who stops there goes on behind it.
            self.cursor = Cursor(segment, offset + start)
            if not line:
                continue
            try:
                record = decode(line)
                self._check(record)
            except ValueError as error:
                self.damage.append(Damage(line_offset, str(error)))
            else:
                yield record


def segment_path(path: Path, segment: int) -> Path:
    """Return the file of a log's segment; the first is the log's own."""
    if not segment:
        return path
    return path.with_name(f"{path.name}.{segment}")


def encode(seq: int, record: dict[str, Any]) -> bytes:
    """Return the line of a record, newline included.

    Raises:
        ValueError: the record holds what is neither text, number, truth value, None, list nor
            dictionary.
    """
    body = to_json({"seq": seq, **_writable(record)})[:-1]
    return b'%s%s%08x"}\n' % (body, _CRC_MARK, zlib.crc32(body))


def decode(line: bytes) -> dict[str, Any]:
    """Return the record of a line without its newline.

    Raises:
        ValueError: the line is torn, glued or changed.
    """
    body = line[:-_TAIL_BYTES]
    tail = line[-_TAIL_BYTES:]
    if not tail.startswith(_CRC_MARK):
        raise ValueError("no checksum at the end")
    if tail != b'%s%08x"}' % (_CRC_MARK, zlib.crc32(body)):
        raise ValueError("checksum differs")
    record: dict[str, Any] = from_json(body + b"}", allow_inf_nan=False)
    if type(record.get("seq")) is not int:
        raise ValueError("no sequence number")
    if _NON_FINITE_MARK in body:
        record = _read_back(record)
    return record


def _writable(value: Any) -> Any:
    """Return `value` with what JSON in UTF-8 cannot say put into words."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"non_finite": str(float(value))}
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _writable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(item) for item in value]
    return value


def _read_back(value: Any) -> Any:
    """Return `value` with the non-finite numbers that were put into words."""
    if isinstance(value, dict):
        if value.keys() == {"non_finite"} and str(value["non_finite"]) in _NON_FINITE:
            return _NON_FINITE[str(value["non_finite"])]
        return {key: _read_back(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_read_back(item) for item in value]
    return value


def _last_segment(path: Path) -> int:
    segment = 0
    while segment_path(path, segment + 1).exists():
        segment += 1
    return segment


def _read_from(path: Path, offset: int) -> bytes:
    try:
        return read_bytes(path, offset)
    except FileNotFoundError:
        return b""


def _ends_torn(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
