"""Reads the files of a spec's plug-ins: parts of the user's own, named as `package.module:Class`.

Nothing of them is imported here: a plan loads no torch, and code that is only named must not run.
"""

import ast
import posixpath
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from byol_core.config import ConfigError, nearest
from byol_core.plugins import PlugIns, digest_of, is_plug_in
from orchestrator.errors import SpecError
from orchestrator.spec.load import Sweep

_OURS = ("byol_core", "orchestrator", "analysis")


def read_plugins(sweep: Sweep) -> PlugIns | None:
    """Read the files that a spec declares; None where it declares none.

    A file is imported by its path: `parts/norms.py` is the module `parts.norms`.

    Raises:
        SpecError: one is missing, cannot be read or imported under its name, or is no Python.
    """
    files: dict[str, bytes] = {}
    for number, path in enumerate(sweep.spec.plugins.files):
        line = sweep.document.where(("plugins", "files", number))
        try:
            name = _name(path)
            if name in files:
                raise ValueError("is declared twice; paths are told apart without '..'")
            files[name] = _content(sweep.document.file.parent, path)
            _check_module(name, files)
        except ValueError as error:
            raise SpecError(f"{line}: plugins: {path!r} {error}") from None
    return PlugIns(digest_of(files), files) if files else None


def check_named(canonical: Mapping[str, Any], plugins: PlugIns | None) -> bool:
    """Tell whether settings name a plug-in; check that the declared files define it.

    Raises:
        ConfigError: they do not; the text names the file that is to be declared.
    """
    words = {key: value for key, value in canonical.items() if isinstance(value, str)}
    named = {key: word for key, word in words.items() if is_plug_in(word)}
    files = {} if plugins is None else plugins.files
    for key, value in named.items():
        module, _, attribute = value.partition(":")
        file = _file_of(module, files)
        if file is None:
            raise ConfigError(key, f"{key}: {value!r}: {_undeclared(module, files)}")
        defined = _names_in_file(files[file])
        if attribute not in defined:
            hint = nearest(attribute, defined) if defined else "it defines nothing"
            raise ConfigError(key, f"{key}: {value!r}: {file} defines no {attribute!r}; {hint}")
    return bool(named)


def _name(path: str) -> str:
    """Return a file's name below the folder that it is imported from.

    Raises:
        ValueError: it is no relative path, or no module can have it.
    """
    if path.startswith(("/", "~")):
        raise ValueError("must be relative to the spec's folder; write e.g. parts/norms.py")
    parts = [part for part in posixpath.normpath(path).split("/") if part != ".."]
    if not parts or parts == ["."]:
        raise ValueError("is a folder; list its files, e.g. parts/norms.py")

    # Data that a plug-in reads may have any name.
    if parts[-1].endswith(".py"):
        words = [*parts[:-1], parts[-1].removesuffix(".py")]
        wrong = [word for word in words if not word.isidentifier()]
        if wrong:
            raise ValueError(f"cannot be imported: {wrong[0]!r} is no name in Python; rename it")
        _check_top(words[0])
    return "/".join(parts)


def _check_top(word: str) -> None:
    """Refuse a module that would stand in front of one which the trainer imports.

    Raises:
        ValueError: it would.
    """
    if word in _OURS or word in sys.stdlib_module_names or word in _installed():
        raise ValueError(f"would hide the package {word!r}, which is installed; rename it")


@cache
def _installed() -> frozenset[str]:
    """Return the packages and modules that were installed."""
    return frozenset(packages_distributions())


def _content(folder: Path, path: str) -> bytes:
    """Return what a declared file holds; its path starts in the spec's folder.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        return (folder / path).read_bytes()
    except IsADirectoryError:
        raise ValueError("is a folder; list its files, e.g. parts/norms.py") from None
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise ValueError(f"cannot be read: {reason}; paths start in {folder.absolute()}") from None


def _check_module(name: str, files: Mapping[str, bytes]) -> None:
    """Refuse what is not Python.

    Raises:
        ValueError: its text names the line.
    """
    if not name.endswith(".py"):
        return
    try:
        ast.parse(files[name])
    except SyntaxError as error:
        raise ValueError(f"is no Python: line {error.lineno}: {error.msg}") from None


def _file_of(module: str, files: Mapping[str, bytes]) -> str | None:
    """Return the declared file of a module; None where there is none."""
    stem = module.replace(".", "/")
    for name in (f"{stem}.py", f"{stem}/__init__.py"):
        if name in files:
            return name
    return None


def _undeclared(module: str, files: Mapping[str, bytes]) -> str:
    """Return what to do about a module that no declared file is."""
    known = [name.removesuffix(".py").replace("/", ".") for name in files if name.endswith(".py")]
    text = f"no declared file is the module {module!r}"
    if known:
        text += f" ({nearest(module, known)})"
    return f"{text}; add its file: plugins: {{files: [{module.replace('.', '/')}.py]}}"


@cache
def _names_in_file(content: bytes) -> list[str]:
    """Return the names that a module binds at its top level; many variants ask for the same."""
    return _names_in(ast.parse(content).body)


def _names_in(statements: list[ast.stmt]) -> list[str]:
    """Return the names that a module binds at its top level, also within `if` and `try`."""
    return [name for statement in statements for name in _names_of(statement)]


def _names_of(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in statement.names)
    elif isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
    elif isinstance(statement, ast.If | ast.Try):
        yield from _names_in([*statement.body, *statement.orelse])
