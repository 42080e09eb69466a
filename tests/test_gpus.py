"""How many GPUs a process may use: CUDA_VISIBLE_DEVICES chooses among those that are here."""

import os

import pytest

from orchestrator.doctor import machine
from orchestrator.doctor.finding import Level
from orchestrator.executors import local
from orchestrator.executors.local import find_slots
from orchestrator.executors.worker import AttemptContext
from orchestrator.machine import gpus
from orchestrator.machine.gpus import gpu_count, visible_gpus

TWO = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-5d77aa01-0000-1111-2222-333344445555)
"""
SLICED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 1g.5gb      Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 1g.5gb      Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Make `nvidia-smi -L` print this and CUDA_VISIBLE_DEVICES hold that; None: there is none."""

    def make(listing, value, status=0):
        monkeypatch.setenv("PATH", str(tmp_path))
        if listing is not None:
            tool = tmp_path / "nvidia-smi"
            tool.write_text(f"#!/bin/sh\nprintf '%s' '{listing}'\nexit {status}\n")
            tool.chmod(0o755)
        if value is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        return visible_gpus()

    return make


@pytest.mark.parametrize(
    ("listing", "value", "count", "names"),
    [
        (TWO, None, 2, None),
        (TWO, "", 0, None),
        (TWO, "-1", 0, None),
        (TWO, "NoDevFiles", 0, None),
        (TWO, "1,0", 2, None),
        (TWO, " 1 ", 1, None),
        (TWO, "0,2,1", 1, "'2'"),
        (TWO, "0,-1,1", 1, "'-1'"),
        (TWO, "1,1", 0, "twice"),
        (TWO, "all", 0, "'all'"),
        (TWO, "GPU-5d77,GPU-5d5b", 2, None),
        (TWO, "GPU-5d77aa,GPU-5d77", 0, "twice"),
        (TWO, "GPU-5d", 0, "'GPU-5d'"),
        (SLICED, None, 1, None),
        (SLICED, "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f,MIG-cba663e8", 1, None),
        (SLICED, "MIG-GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77/7/0", 1, None),
        (TWO, "MIG-c6d4f1ef", 0, "'MIG-c6d4f1ef'"),
        (None, "0", 0, "'0'"),
        (None, "NoDevFiles", 0, None),
        (None, None, 0, None),
    ],
)
def test_the_variable_chooses_among_the_gpus_that_are_here(here, listing, value, count, names):
    visible = here(listing, value)
    assert visible.count == count
    assert (visible.problem is None) == (names is None)
    if names is not None:
        assert names in visible.problem and "CUDA_VISIBLE_DEVICES=" in visible.problem


def test_a_driver_that_does_not_work_has_no_gpus(here):
    assert here("Failed to initialize NVML: Driver/library version mismatch", None, 18).count == 0


def test_without_nvidia_smi_the_device_files_are_counted(here, tmp_path, monkeypatch):
    monkeypatch.setattr(gpus, "_DEVICES", tmp_path)
    monkeypatch.setattr(gpus, "_DRIVER", tmp_path / "gpus")
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert here(None, None).count == 2 and here(None, "1,GPU-12").count == 2
    for number in range(2):
        (tmp_path / "gpus" / str(number)).mkdir(parents=True)
        text = f"Model: \t\t A100\nGPU UUID: \t GPU-{number}bc\n"
        (tmp_path / "gpus" / str(number) / "information").write_text(text)
    assert here(None, "GPU-1").count == 1 and here(None, "GPU-7").count == 0


def test_a_variable_of_another_machine_gives_cpu_slots_and_a_warning(here):
    here(None, "0")
    assert gpu_count() == 0 and {slot.device for slot in find_slots(None)} == {"cpu"}
    finding = machine.devices(visible_gpus(), 4)
    assert finding.level == Level.WARN and "CUDA_VISIBLE_DEVICES='0'" in finding.observed
    assert machine.devices(here(TWO, "0"), 4).level == Level.OK


@pytest.mark.parametrize(
    ("value", "number", "seen"),
    [(None, 1, "1"), ("3,5", 1, "5"), (" GPU-5d77 , GPU-5d5b", 0, "GPU-5d77"), ("", 0, "0")],
)
def test_a_run_sees_the_gpu_of_its_slot_alone(value, number, seen, here, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that it is put back
    here(None, value)
    context = AttemptContext("local", device=f"cuda:{number}", threads=1)
    assert local._seeing_one_gpu(context).device == "cuda:0"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == seen


def test_a_run_without_a_gpu_changes_nothing(here):
    here(None, None)
    for device in ("cpu", "auto", "cuda"):
        context = AttemptContext("local", device=device)
        assert local._seeing_one_gpu(context) is context
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_more_slots_than_gpus_share_them_in_turn_and_the_doctor_says_so(
    here, tmp_path, monkeypatch
):
    visible = here(TWO, None)
    assert [slot.device for slot in find_slots(4)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    text = machine.devices(visible, 8).observed
    assert "--slots 4 runs 2 on each GPU, by turns" in text and "nvidia-cuda-mps-control" in text
    (tmp_path / "control").touch()
    assert machine.devices(visible, 8).observed.endswith("side by side, as NVIDIA MPS runs")
