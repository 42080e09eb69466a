"""Writes files that a user asked for by name, with `--out`.

Such a file is whole or not there, and as open as the user's umask says.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from byol_core.files.durable import sync_folder


@contextmanager
def output(path: Path) -> Iterator[BinaryIO]:
    """Write a new `path` piece by piece.

    Readers see the old file until the block ends well, and then the new one.

    Args:
        path: in a folder that exists.

    Raises:
        OSError: disk full, read-only or failing; then `path` is as it was.
    """
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
