"""Append-only logs of JSON records: one line each, with a sequence number and a checksum.

A line is ``{"seq":7,...,"crc":"1c291ca3"}``; the checksum is CRC-32 of everything before it. One process writes a log;
any number may read it, from an offset, while it grows. A last line without a newline waits for its rest; a damaged line
in the middle is reported and skipped, and the rest is read. JSON knows no NaN: non-finite numbers travel as text.
"""

import json
import math
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from byol_core.files.durable import FILE_MODE, sync_folder

_CRC_MARK = b',"crc":"'
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True)
class Damage:
    """A line that could not be read: where it starts and what is wrong with it."""

    offset: int
    reason: str


class RecordLog:
    """The writer of one log.

    Args:
        path: file to create or to go on with; sequence numbers go on behind the last whole line.
    """

    def __init__(self, path: Path) -> None:
        is_new = not path.exists()
        self._seq = 0 if is_new else _next_seq(path)
        self._torn = not is_new and _ends_torn(path)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE)
        if is_new:
            sync_folder(path.parent)

    def append(self, record: dict[str, Any], durable: bool = False) -> None:
        """Write one record; with `durable` it has reached the disk when this returns.

        Raises:
            OSError: the disk is full or fails; the log may then end in a torn line, which readers step over.
        """
        line = encode(self._seq, record)
        if self._torn:
            line, self._torn = b"\n" + line, False
        view = memoryview(line)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._seq += 1
        if durable:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Sync and close."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)

    def __enter__(self) -> "RecordLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class RecordReader:
    """Reads the whole records of a log from `offset` on.

    After iteration, `offset` is where the next reader goes on and `damage` lists what was skipped.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self.damage: list[Damage] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                chunk = file.read()
        except FileNotFoundError:
            return
        end = chunk.rfind(b"\n") + 1
        start = 0
        while start < end:
            stop = chunk.index(b"\n", start)
            line = chunk[start:stop]
            where, start = self.offset, stop + 1
            self.offset += len(line) + 1
            if not line:
                continue
            try:
                yield decode(line)
            except ValueError as error:
                self.damage.append(Damage(where, str(error)))


def encode(seq: int, record: dict[str, Any]) -> bytes:
    """Return the line of a record, newline included."""
    body = json.dumps({"seq": seq, **_finite(record)}, separators=(",", ":"), allow_nan=False)[:-1].encode()
    return b'%s%s%08x"}\n' % (body, _CRC_MARK, zlib.crc32(body))


def decode(line: bytes) -> dict[str, Any]:
    """Return the record of a line without its newline.

    Raises:
        ValueError: the line is torn, glued or changed.
    """
    body, mark, tail = line.rpartition(_CRC_MARK)
    if not mark or len(tail) != 10 or not tail.endswith(b'"}'):
        raise ValueError("no checksum at the end")
    if tail[:8] != b"%08x" % zlib.crc32(body):
        raise ValueError("checksum differs")
    record: dict[str, Any] = _non_finite(json.loads(body + b"}"))
    return record


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"non_finite": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return value


def _non_finite(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"non_finite"}:
            return _NON_FINITE[value["non_finite"]]
        return {key: _non_finite(item) for key, item in value.items()}
    return value


def _next_seq(path: Path) -> int:
    return 1 + max((record["seq"] for record in RecordReader(path)), default=-1)


def _ends_torn(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
