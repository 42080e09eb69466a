"""Decides how a result is written: by the ending of --out, or as --format says."""

from collections.abc import Collection
from pathlib import Path

from orchestrator.errors import UsageError

_ENDINGS = {"text": "txt", "latex": "tex"}
"""Format → its ending, where that has another name."""


def format_for(out: Path | None, chosen: str | None, allowed: Collection[str], default: str) -> str:
    """Return the format to write, before anything is computed.

    Args:
        out: the file that --out names.
        chosen: what --format names.
        allowed: the formats there are.
        default: the format where neither says one.

    Raises:
        UsageError: there is no such format, the two contradict each other, or no file can lie
            there.
    """
    if chosen is not None and chosen not in allowed:
        raise UsageError(f"--format {chosen!r} does not exist; allowed: {', '.join(allowed)}")
    if out is None:
        return chosen or default
    check_place("--out", out)
    if not out.suffix and chosen is None:
        raise UsageError(
            f"--out {out} has no ending that says its format; write --out {out}{_ending(default)} "
            f"(or {', '.join(_ending(format_) for format_ in allowed if format_ != default)})"
        )
    if not out.suffix:
        return str(chosen)

    # The ending says what the file is to whoever opens it, so it may not lie.
    by_ending = {_ending(format_): format_ for format_ in allowed}
    format_ = by_ending.get(out.suffix.lower())
    if format_ is None:
        raise UsageError(
            f"--out {out}: no format ends in {out.suffix}; allowed: {', '.join(by_ending)}"
        )
    if chosen not in (None, format_):
        raise UsageError(
            f"--out {out} ends in {out.suffix}, but --format says {chosen}; "
            f"leave --format out, or write --out {out.with_suffix(_ending(str(chosen)))}"
        )
    return format_


def _ending(format_: str) -> str:
    return f".{_ENDINGS.get(format_, format_)}"


def check_place(option: str, file: Path) -> None:
    """Raise unless a file can lie there; nothing is written.

    Raises:
        UsageError: it is a folder, or is to lie in one that is not there.
    """
    if file.is_dir():
        raise UsageError(f"{option} {file}: is a folder; name a file in it")
    if not file.absolute().parent.is_dir():
        raise UsageError(
            f"{option} {file}: the folder {file.parent} does not exist; "
            f"make it: mkdir -p {file.parent}"
        )
