"""Asks git about the checkout that the code lies in. What git does not tell is None, never a guess.

The user's settings of git and the variables of a hook change what it prints; here they do not.
"""

import os
import re
import subprocess
from pathlib import Path

from orchestrator.provenance.redact import redact
from orchestrator.provenance.snapshot import CODE_FILES, CODE_PACKAGES

_TIMEOUT_S = 5
_KEPT_BYTES = 256 << 10
_READ_BYTES = 4 << 20
_ALLOWED = frozenset({"GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM"})
_SETTINGS = {
    "color.ui": "false",
    "core.fsmonitor": "false",
    "core.quotePath": "true",
    "diff.mnemonicPrefix": "false",
    "diff.noprefix": "false",
    "diff.orderFile": "/dev/null",
    "diff.relative": "false",
    "diff.suppressBlankEmpty": "false",
}
_DIFF = (
    "diff",
    "--binary",
    "--full-index",
    "--no-color",
    "--no-ext-diff",
    "--no-renames",
    "--no-textconv",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
    "--unified=3",
)
_FILE_BEGINS = re.compile(rb"^(?=diff --git )", re.MULTILINE)


class Checkout:
    """Asks git about the folder that holds the three packages.

    Args:
        folder: it may be no checkout, and may lie in an ignored folder of another one: then git
            knows nothing of the code.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_tracked = bool(_git(folder, "ls-files", "-z", "--", *CODE_PACKAGES))

    def commit(self) -> str | None:
        """Return the commit that is checked out."""
        return self._line("rev-parse", "HEAD")

    def remote(self) -> str | None:
        """Return the URL of `origin`, as it is written down."""
        return self._line("remote", "get-url", "origin")

    def status(self) -> list[str] | None:
        """Return a line `XY path` for each changed or new file; None where git does not tell."""
        options = ("--porcelain=v1", "-z", "--no-renames", "--untracked-files=all")
        listed = self._ask("status", *options, "--", *CODE_PACKAGES)
        if listed is None:
            return None
        return [os.fsdecode(entry) for entry in listed.split(b"\0") if entry]

    def diff(self, status: list[str]) -> bytes | None:
        """Return what was changed since the commit, with the text of new files, without secrets.

        `git apply`, called at the top of a checkout, applies it. A file in which a secret stood, or
        that is too long, is there as a comment. None where git does not tell.

        Args:
            status: what `status` returns.
        """
        changed = self._ask(*_DIFF, "HEAD", "--", *CODE_PACKAGES)
        top = self._line("rev-parse", "--show-toplevel")
        if changed is None or top is None:
            return None
        new = [line[3:] for line in status if line.startswith("?? ")]
        added = [_as_diff(Path(top), name) for name in new if Path(name).suffix in CODE_FILES]

        # As much as fits, file by file: half a file would not apply.
        heads = "".join(f"# {line}\n" for line in status[:1000])
        kept = os.fsencode(redact(heads))
        for part in _FILE_BEGINS.split(changed + b"".join(added)):
            shown = _without_secrets(part)
            if len(kept) + len(shown) > _KEPT_BYTES:
                shown = _cut(part)
            kept += shown
        return kept

    def _ask(self, *arguments: str) -> bytes | None:
        if not self.is_tracked:
            return None
        return _git(self.folder, *arguments)

    def _line(self, *arguments: str) -> str | None:
        printed = self._ask(*arguments)
        if printed is None:
            return None
        return os.fsdecode(printed).rstrip("\n") or None


def _git(folder: Path, *arguments: str, allowed: tuple[int, ...] = (0,)) -> bytes | None:
    """Return what git prints; None where it is missing, fails or does not answer."""
    # A hook's GIT_DIR would name another repository; GIT_EXTERNAL_DIFF another way to compare.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _ALLOWED
    }
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    settings: list[str] = []
    for name, value in _SETTINGS.items():
        settings += ["-c", f"{name}={value}"]
    try:
        done = subprocess.run(
            ["git", *settings, "-C", str(folder), *arguments],
            capture_output=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode in allowed else None


def _as_diff(top: Path, name: str) -> bytes:
    """Return a new file as a diff that makes it; a comment where git does not tell."""
    compared = _git(top, *_DIFF, "--no-index", "--", "/dev/null", name, allowed=(0, 1))
    if compared is None:
        return os.fsencode(f"# {name}: could not be read\n")
    return compared


def _without_secrets(part: bytes) -> bytes:
    """Return a file's part of a diff; as a comment where a secret had to be taken out of it.

    The lines of such a part are no longer those of any file, and it would keep the others from
    being applied.
    """
    if len(part) > _READ_BYTES:  # it does not fit anyhow, and is not searched
        return part
    text = os.fsdecode(part)
    redacted = redact(text)
    if redacted == text:
        return part
    return os.fsencode("".join(f"# {line}\n" for line in redacted.split("\n")))


def _cut(part: bytes) -> bytes:
    first_line = os.fsdecode(part).partition("\n")[0]
    name = redact(first_line.rpartition(" b/")[2])[:200]
    return os.fsencode(f"# [cut here: {len(part):,} characters in all] {name}\n")
