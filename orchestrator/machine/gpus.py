"""How many GPUs this process may use, told without loading torch."""

import os
import shutil
import subprocess

_TIMEOUT_S = 30


def gpu_count() -> int:
    """Count the GPUs that CUDA_VISIBLE_DEVICES names, or that nvidia-smi lists where it names none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    listed = subprocess.run(
        [tool, "--list-gpus"], capture_output=True, text=True, timeout=_TIMEOUT_S
    )
    return len(listed.stdout.splitlines()) if listed.returncode == 0 else 0
