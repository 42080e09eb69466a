"""Loads parts that users write themselves, named in a config as `package.module:Class`.

The module is found as Python finds any other: installed, or in the folder that a run starts in. A
sweep declares its files, and each run imports them from a copy that its id names.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeVar

PLUGINS_KEY = "plugins"
"""The canonical setting that holds the digest, of runs that use a part of the user's own."""

Base = TypeVar("Base")


class PlugInError(ValueError):
    """Says that a part of the user's own cannot be loaded or built."""


@dataclass(frozen=True)
class PlugIns:
    """The declared files of a spec, as they are now.

    Attributes:
        digest: sha256 over their names and bytes; part of the id of runs that use one.
        files: name below the folder that they are imported from → content.
    """

    digest: str
    files: Mapping[str, bytes] = field(repr=False)


def digest_of(files: Mapping[str, bytes]) -> str:
    """Return the sha256 over the names and bytes of some files."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name} {len(files[name])}\n".encode() + files[name])
    return digest.hexdigest()


def is_plug_in(name: str) -> bool:
    """Tell a part of the user's own, `package.module:Class`, from the name of one of ours."""
    return ":" in name


def load_part(name: str) -> type[Any]:
    """Return the class that `package.module:Class` names.

    Raises:
        PlugInError: there is no such module or class, or importing it fails.
    """
    module_name, _, class_name = name.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:  # a user's module may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise PlugInError(
            f"{name}: {module_name} cannot be imported ({reason}); "
            "write package.module:Class, of a package that is installed here"
        ) from error

    part = getattr(module, class_name, None)
    if not isinstance(part, type):
        raise PlugInError(
            f"{name}: {module_name} has no class {class_name}; its classes: {_classes(module)}"
        )
    return part


def build_part(name: str, base: type[Base], *arguments: Any) -> Base:
    """Return the object that a user's class makes of these arguments.

    Args:
        name: of the class, `package.module:Class`.
        base: what the object must be an instance of.
        arguments: of the class, by position.

    Raises:
        PlugInError: the class cannot be loaded, does not take the arguments, or is of another kind.
    """
    part = load_part(name)
    try:
        built = part(*arguments)
    except Exception as error:  # a user's class may raise anything
        given = ", ".join(map(repr, arguments))
        reason = f"{type(error).__name__}: {error}"
        raise PlugInError(f"{name}: it cannot be built from ({given}): {reason}") from error

    if not isinstance(built, base):
        needed = f"{base.__name__} of {base.__module__.partition('.')[0]}"
        raise PlugInError(f"{name}: it is no {needed}; make it a subclass of that")
    return built


def call_part(name: str, part: Any, method: str, *arguments: Any, needs: str) -> Any:
    """Return what a method of a user's object gives.

    Args:
        name: of its class, `package.module:Class`.
        part: the object.
        method: which of its methods.
        arguments: of the method, by position.
        needs: what methods it must have, for the text of the error.

    Raises:
        PlugInError: it has no such method, or the method fails.
        OSError: a disk fails, or a file is not there.
        MemoryError: there is too little; torch's own error of a device, too.
    """
    function = getattr(part, method, None)
    if not callable(function):
        raise PlugInError(f"{name}: it has no method {method}; it needs {needs}")
    try:
        return function(*arguments)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a user's method may raise anything
        if type(error).__name__ == "OutOfMemoryError":
            raise  # of torch, which is not loaded here
        reason = f"{type(error).__name__}: {error}"
        raise PlugInError(f"{name}: {method} fails: {reason}") from error


def _classes(module: Any) -> str:
    """Return the names of the classes that a module defines itself."""
    own = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    ]
    return ", ".join(own) or "none"
