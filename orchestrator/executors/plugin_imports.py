"""Imports a user's own parts from their copy below the root, and from nowhere else.

A module of that name elsewhere, as an edited one in the working directory, must not win: what runs
is what the run's id was made of.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType


@contextmanager
def plugins_from(folder: Path) -> Iterator[None]:
    """Let the modules of a folder, and what is below them, be imported from it alone.

    In the end modules of their names are again what they were before, as an inline run ends in a
    process that goes on.
    """
    finder = _Finder(folder)
    before = _taken_out(finder)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _taken_out(finder)
        sys.modules.update(before)


class _Finder(MetaPathFinder):
    """Finds modules by their place in one folder.

    Args:
        folder: with a file or a folder for each module at the top.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.tops = {path.name.removesuffix(".py") for path in folder.iterdir()}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module is; None for one that is not the user's.

        Raises:
            ModuleNotFoundError: its package is the user's, and it is not among the files.
        """
        parts = fullname.split(".")
        if parts[0] not in self.tops:
            return None
        place = self._folder.joinpath(*parts)
        module = place.with_name(f"{place.name}.py")
        if module.is_file():
            return spec_from_file_location(fullname, module)
        if not place.is_dir():
            raise ModuleNotFoundError(
                f"{fullname} is not among the files that the spec declares: add "
                f"{'/'.join(parts)}.py to plugins: {{files: […]}}",
                name=fullname,
            )

        # A package, which needs no file of its own.
        start = place / "__init__.py"
        if start.is_file():
            return spec_from_file_location(fullname, start, submodule_search_locations=[str(place)])
        package = ModuleSpec(fullname, None, is_package=True)
        package.submodule_search_locations = [str(place)]
        return package


def _taken_out(finder: _Finder) -> dict[str, ModuleType]:
    """Forget the modules that bear the names of a finder's; return them."""
    names = [name for name in sys.modules if name.partition(".")[0] in finder.tops]
    return {name: sys.modules.pop(name) for name in names}
