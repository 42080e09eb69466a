"""Looks around on a compute node: ``python -m orchestrator.doctor.probe FOLDER``.

The doctor's probe job runs it. It reads `ASKED` in its folder, and writes `REPORT` there.
"""

import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from byol_core.config import DatasetConfig
from byol_core.datasets.errors import DataMissingError
from byol_core.datasets.locate import find
from byol_core.files import read_json, write_json
from orchestrator.doctor.files import file_clock_offset_s

ASKED = "asked.json"
REPORT = "report.json"
LOCK = "lock"


def probe(folder: Path) -> None:
    """Write `REPORT` with everything that can be seen from here; nothing is judged.

    Args:
        folder: made on the login node, which holds `LOCK` in it. `ASKED` lists `DatasetConfig`s, as
            JSON has them.
    """
    report: dict[str, Any] = {
        "host": os.uname().nodename,
        "code": str(Path(__file__).parents[2]),
        "lock_is_free": _lock_is_free(folder / LOCK),
        "file_clock_offset_s": file_clock_offset_s(folder),
        "tmp": _tmp(),
        "missing_data": _missing(read_json(folder / ASKED) or []),
        "training": _training(),
    }

    # The time is taken last: the login node compares it with when the report comes into sight.
    report["written_at"] = time.time()
    write_json(folder / REPORT, report)


def _lock_is_free(file: Path) -> bool | None:
    """Tell whether the lock that the login node holds is free here; None where none is granted."""
    try:
        with file.open() as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _tmp() -> dict[str, Any]:
    folder = tempfile.gettempdir()
    return {"path": folder, "free_bytes": shutil.disk_usage(folder).free}


def _missing(datasets: Sequence[dict[str, Any]]) -> list[str]:
    """Return what is said of each data set that is not in sight."""
    missing = []
    for settings in datasets:
        try:
            find(DatasetConfig.model_validate(settings))
        except (DataMissingError, OSError) as error:
            missing.append(str(error))
    return missing


def _training() -> dict[str, Any]:
    """Import what a run imports, and count the GPUs that torch sees."""
    try:
        from orchestrator.executors.warm import torch
    except Exception as error:  # a library that does not load raises whatever it likes
        return {"error": f"{type(error).__name__}: {error}", "gpus": 0, "torch": None}
    return {"error": None, "gpus": torch.cuda.device_count(), "torch": torch.__version__}


if __name__ == "__main__":
    probe(Path(sys.argv[1]))
