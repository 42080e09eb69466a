"""Says what is installed (`sweep --version`) and copies the specs that come with it (`sweep init`)."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.context import near
from orchestrator.errors import StoreError, UsageError

_DISTRIBUTION = "byol-sweeps"
_PACKAGE = Path(__file__).parents[1]
_CHECKOUT = _PACKAGE.parent


def version_text() -> str:
    """Return the versions that matter when a fault is reported, a line each."""
    return "\n".join(
        [
            f"sweep   {_version(_DISTRIBUTION)}, from {_CHECKOUT}",
            f"python  {sys.version.split()[0]}, {sys.executable}",
            f"torch   {_version('torch')}",
        ]
    )


def _version(distribution: str) -> str:
    """Return the version of an installed distribution, which is not imported for it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to; made where it is missing.")
    ] = Path(),
) -> None:
    """Copy the specs that come with the program into DIR/sweeps; what is there already stays.

    Example: sweep init my-sweeps
    """
    target = folder / "sweeps"
    written = 0
    for source in shipped_specs():
        file = target / source.name
        if _write_new(file, source.read_bytes()):
            written += 1
            print(f"wrote {near(file)}")
        else:
            print(f"kept  {near(file)}: it was there already")

    # Nothing else is in this folder yet, so the smallest spec comes first.
    change = "" if folder.resolve() == Path.cwd() else f"cd {near(folder)} && "
    print(f"{written} written; next: {change}sweep launch sweeps/smoke.yaml --dry-run")


def shipped_specs() -> list[Path]:
    """Return the specs that come with the program, and their schema.

    Raises:
        StoreError: this installation has none.
    """
    # The wheel holds them inside the package, a checkout beside it.
    for folder in (_PACKAGE / "sweeps", _CHECKOUT / "sweeps"):
        if (folder / "smoke.yaml").is_file():
            return sorted([*folder.glob("*.yaml"), *folder.glob("*.json")])
    raise StoreError(
        f"the specs are missing in {_PACKAGE}; install the program again: pip install byol-sweeps"
    )


def _write_new(file: Path, content: bytes) -> bool:
    """Write a file of the user's that is not there yet; tell whether it was written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as out:
            out.write(content)
    except FileExistsError:
        if not file.is_file():
            raise UsageError(f"{near(file)} is no file; name another folder") from None
        return False
    except OSError as error:
        raise StoreError(f"{near(file)}: cannot be written: {error.strerror}") from None
    return True
