"""Counts the GPUs that this process may use, without loading torch."""

import os
import shutil
import subprocess

_TIMEOUT_S = 30


def gpu_count() -> int:
    """Count the GPUs in CUDA_VISIBLE_DEVICES, or where it is not set those of nvidia-smi."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])

    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    listed = subprocess.run(
        [tool, "--list-gpus"], capture_output=True, text=True, timeout=_TIMEOUT_S
    )
    if listed.returncode != 0:
        return 0
    return len(listed.stdout.splitlines())
