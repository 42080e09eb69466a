"""Counts the GPUs that this process may use, as CUDA counts them, without loading torch.

CUDA_VISIBLE_DEVICES chooses among the GPUs that are here: by number or by UUID, up to the first
entry that names none. It is often left over from another machine, or SLURM's word for none.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_VARIABLE = "CUDA_VISIBLE_DEVICES"
_NONE = frozenset({"", "-1", "NoDevFiles"})
"""Values that are meant to hide every GPU; the last is SLURM's."""

_MPS_PIPES = "/tmp/nvidia-mps"
_TIMEOUT_S = 30
_DEVICES = Path("/dev")
_DRIVER = Path("/proc/driver/nvidia/gpus")
_UUID = re.compile(r"UUID:\s*([\w/-]+)")
_NUMBER = re.compile(r"\+?(\d+)")


@dataclass(frozen=True)
class Gpu:
    """Is a GPU of this machine.

    Attributes:
        uuid: as in `GPU-1e2f…`; empty where it is not known.
        slices: the UUIDs of its MIG devices; empty where it is not divided.
    """

    uuid: str = ""
    slices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Visible:
    """Says how many GPUs this process may use.

    Attributes:
        count: their number.
        problem: what is wrong with CUDA_VISIBLE_DEVICES, with the next step; None where it is fine.
    """

    count: int
    problem: str | None = None


def gpu_count() -> int:
    """Count the GPUs that this process may use."""
    return visible_gpus().count


def visible_gpus() -> Visible:
    """Choose among the GPUs that are here what CUDA_VISIBLE_DEVICES lets through."""
    here = _gpus_here()
    value = os.environ.get(_VARIABLE)
    if value is None:
        return Visible(_usable(here))
    if value.strip() in _NONE:
        return Visible(0)

    chosen, stop = _choose([entry.strip() for entry in value.split(",")], here)
    count = _usable(chosen)
    if not stop:
        return Visible(count)
    return Visible(
        count,
        f"{_VARIABLE}={value!r}: {stop}, so CUDA shows {count} GPUs of the {len(here)} that are "
        f"here; allowed: {_allowed(here)}; unset {_VARIABLE} to use all",
    )


def see_one(number: int) -> None:
    """Let CUDA show this process one GPU alone, of those that it would show it, as `cuda:0`.

    It must not have started CUDA yet. So nothing of it lands on a GPU of other runs by mistake.
    """
    entries = os.environ.get(_VARIABLE, "").split(",")
    shown = [entry.strip() for entry in entries if entry.strip()]
    os.environ[_VARIABLE] = shown[number] if shown else str(number)


def mps_runs() -> bool:
    """Tell whether NVIDIA's MPS runs here: with it, processes compute on one GPU side by side."""
    folder = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", _MPS_PIPES))
    return (folder / "control").exists()


def _choose(entries: list[str], here: list[Gpu]) -> tuple[list[Gpu], str]:
    """Return the GPUs that the entries name, and why the rest does not count."""
    chosen: list[Gpu] = []
    seen: set[str] = set()
    for entry in entries:
        number, gpu = _named(entry, here)
        if gpu is None:
            return chosen, f"{entry!r} names no GPU of this machine"
        if number in seen:
            return [], f"{entry!r} names a GPU twice"
        seen.add(number)
        chosen.append(gpu)
    return chosen, ""


def _named(entry: str, here: list[Gpu]) -> tuple[str, Gpu | None]:
    """Return the GPU that an entry names, and a key that is the same for the same one."""
    # The whole GPU: by its number, which CUDA reads up to the first letter.
    number = _NUMBER.match(entry)
    if number:
        index = int(number[1])
        return str(index), here[index] if index < len(here) else None

    # Or by the first letters of a UUID, as long as they fit one GPU alone.
    if entry.startswith("GPU-"):
        fits = [str(i) for i, gpu in enumerate(here) if gpu.uuid.startswith(entry)]
        return _only(fits, entry, here)
    if entry.startswith("MIG-"):
        return entry, _slice(entry, here)
    return entry, None


def _only(fits: list[str], entry: str, here: list[Gpu]) -> tuple[str, Gpu | None]:
    """Return the one GPU that fits; where no UUID is known, the entry is believed."""
    if len(fits) == 1:
        return fits[0], here[int(fits[0])]
    is_unknown = bool(here) and not any(gpu.uuid for gpu in here)
    return entry, here[0] if is_unknown else None


def _slice(entry: str, here: list[Gpu]) -> Gpu | None:
    """Return a MIG device, also by its older name `MIG-GPU-<uuid>/1/0`."""
    parent = entry.removeprefix("MIG-").partition("/")[0]
    for gpu in here:
        is_older_name = gpu.uuid == parent and bool(gpu.slices)
        if is_older_name or any(name.startswith(entry) for name in gpu.slices):
            return Gpu(gpu.uuid, (entry,))
    return None


def _usable(gpus: list[Gpu]) -> int:
    """Count GPUs; of MIG devices, CUDA shows a process one alone."""
    if any(gpu.slices for gpu in gpus):
        return 1
    return len(gpus)


def _allowed(here: list[Gpu]) -> str:
    if not here:
        return "'' on a machine without a GPU, as this one"
    numbers = ",".join(str(index) for index in range(len(here)))
    return f"numbers among {numbers}, or UUIDs as `nvidia-smi -L` lists them"


def _gpus_here() -> list[Gpu]:
    """Return the GPUs of this machine, whatever the variable says."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return _device_files()
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return _device_files()
    if listed.returncode != 0:
        return []  # the driver does not work, for CUDA neither
    return _listed(listed.stdout)


def _listed(text: str) -> list[Gpu]:
    """Read `nvidia-smi -L`: a line for each GPU, below it one for each of its MIG devices."""
    gpus: list[Gpu] = []
    for line in text.splitlines():
        match = _UUID.search(line)
        uuid = match[1] if match else ""
        if line.startswith("GPU "):
            gpus.append(Gpu(uuid))
        elif gpus and line.strip().startswith("MIG "):
            gpus[-1] = Gpu(gpus[-1].uuid, (*gpus[-1].slices, uuid))
    return gpus


def _device_files() -> list[Gpu]:
    """Return a GPU for each device file, with the UUIDs that the driver tells."""
    count = len([file for file in _DEVICES.glob("nvidia*") if file.name[6:].isdecimal()])
    texts = [file.read_text(errors="replace") for file in sorted(_DRIVER.glob("*/information"))]
    uuids = [match[1] for match in map(_UUID.search, texts) if match]

    # A container may see the driver's files of more GPUs than it may use.
    if len(uuids) != count:
        uuids = [""] * count
    return [Gpu(uuid) for uuid in uuids]
