"""Reads YAML 1.2 without surprises.

`1e-3` is a number, `no` and `off` are text, duplicate keys are errors, and bombs are refused. The
result is plain Python values, and for each key the line where it stands.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from orchestrator.errors import SpecError

MAX_BYTES = 1 << 20
MAX_VALUES = 100_000
MAX_DEPTH = 20
_WORD = re.compile(r"[^\s,\[\]{}#&*!]+")


@dataclass
class Document:
    """A parsed file: its values, and the line (from 1) and spelling of what stands in it.

    Attributes:
        file: its path.
        values: plain ones.
        lines: of each key, and each item of a list.
        spellings: of each number in a list, as it is written.
    """

    file: Path
    values: dict[str, Any]
    lines: dict[tuple[str | int, ...], int] = field(default_factory=dict)
    spellings: dict[tuple[str | int, ...], str] = field(default_factory=dict)

    def where(self, path: tuple[str | int, ...]) -> str:
        """Return `file:line` of the deepest known part of a key path."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.file}:{self.lines.get(path, 1)}"

    def spelling(self, path: tuple[str | int, ...]) -> str:
        """Return a number of a list as it is written, and anything else as its value."""
        if path in self.spellings:
            return self.spellings[path]
        value: Any = self.values
        for part in path:
            value = value[part]
        return str(value)


def read(file: Path, example: str = "`version: 1` and `name: my_sweep`") -> Document:
    """Parse a file.

    Args:
        file: YAML.
        example: keys that it could hold, for the error where it holds none.

    Raises:
        SpecError: missing, too large, no YAML 1.2, duplicate keys, or no mapping of keys.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            raise SpecError(f"{file}: larger than {MAX_BYTES >> 20} MiB; it must be a short text")
        text = file.read_bytes().decode()
    except FileNotFoundError:
        raise SpecError(f"{file}: no such file; {_elsewhere(file)}") from None
    except IsADirectoryError:
        raise SpecError(f"{file}: is a folder; name one of the specs in it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"{file}: cannot be read as text ({type(error).__name__}); it must be a YAML file"
        ) from None
    return _parse(file, text, example)


def _elsewhere(file: Path) -> str:
    """Say where a spec that was not found may lie: beside it with an ending, or in sweeps/."""
    for folder in (file.parent, Path("sweeps")):
        for ending in ("", ".yaml", ".yml"):
            near = folder / f"{file.name}{ending}"
            if near.is_file():
                return f"did you mean {near}?"
    return "the specs that come with the project lie in sweeps/, and `sweep init` copies them here"


def scalar(text: str) -> Any:
    """Return the value of one YAML scalar or flow list, as in a spec: `1e-3`, `none`, `[0, 1]`."""
    try:
        return _Plain(Path("--set")).convert(YAML(typ="rt").load(text), ())
    except YAMLError:
        return text


def _parse(file: Path, text: str, example: str) -> Document:
    # The round-trip reader keeps the lines of keys, and refuses duplicates.
    try:
        tree = YAML(typ="rt").load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 1
        if mark is not None:
            line = mark.line + 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise SpecError(f"{file}:{line}: {problem.strip()}; see docs/spec.md") from None
    except RecursionError:
        raise SpecError(f"{file}: nested too deeply") from None
    if not isinstance(tree, CommentedMap):
        raise SpecError(f"{file}:1: is no mapping of keys such as {example}")

    plain = _Plain(file, text.splitlines())
    values = plain.convert(tree, ())
    return Document(file, values, plain.lines, plain.spellings)


class _Plain:
    """Turns ruamel's values into plain ones, counting them, so that an alias bomb ends early."""

    def __init__(self, file: Path, text: Sequence[str] = ()) -> None:
        self.file = file
        self.text = text
        self.count = 0
        self.lines: dict[tuple[str | int, ...], int] = {}
        self.spellings: dict[tuple[str | int, ...], str] = {}

    def convert(self, value: Any, path: tuple[str | int, ...]) -> Any:
        """Return the plain value of a node, and note the lines of the keys in it."""
        self.count += 1
        if self.count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise SpecError(
                f"{self.file}: more than {MAX_VALUES:,} values or {MAX_DEPTH} levels, "
                "aliases included"
            )

        # A key is noted before its value is read, so that errors in it have a line.
        if isinstance(value, CommentedMap):
            return {
                self._key(value, key, path): self.convert(item, (*path, key))
                for key, item in value.items()
            }
        if isinstance(value, CommentedSeq):
            self._note_items(value, path)
            return [self.convert(item, (*path, i)) for i, item in enumerate(value)]
        return self._scalar(value, path)

    def _key(self, mapping: CommentedMap, key: Any, path: tuple[str | int, ...]) -> str:
        """Return a key that is text, and note its line; a merged key has that of its mapping."""
        line = self.lines.get(path, 1)
        if key in (mapping.lc.data or {}):
            line = mapping.lc.key(key)[0] + 1
        if not isinstance(key, str):
            raise SpecError(f"{self.file}:{line}: key {key!r} is no text; put it in quotes")
        self.lines[(*path, key)] = line
        return key

    def _note_items(self, items: CommentedSeq, path: tuple[str | int, ...]) -> None:
        """Note where the items of a list stand, and how numbers are written."""
        for i, (line, column) in (items.lc.data or {}).items():
            self.lines[(*path, i)] = line + 1
            if isinstance(items[i], int | float) and line < len(self.text):
                word = _WORD.match(self.text[line], column)
                if word is not None:
                    self.spellings[(*path, i)] = word.group()

    def _scalar(self, value: Any, path: tuple[str | int, ...]) -> Any:
        if value is None or isinstance(value, bool):
            return value

        # ruamel's own kinds of numbers and texts, which remember how they were written.
        for kind in (int, float, str):
            if isinstance(value, kind):
                plain = kind(value)
                return plain or kind()  # -0.0 is 0.0
        if type(value).__name__ == "ScalarBoolean":
            return bool(value)

        shown = repr(value)
        if isinstance(value, date):
            shown = value.isoformat()
        line = self.lines.get(path, 1)
        raise SpecError(
            f"{self.file}:{line}: {shown} is a {type(value).__name__}; put it in quotes"
        )
