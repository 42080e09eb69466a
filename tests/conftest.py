"""Shared by all tests: real images where they are, a tiny config that trains in a second, and a
root to run in.
"""

import os
import subprocess
import sys
from pathlib import Path

# Without a GPU Triton's kernels are interpreted; it settles that when it is first imported.
if not Path("/dev/nvidiactl").exists():
    os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import pytest
from fake_slurm import FakeSlurm
from forked import Forked

REPO = Path(__file__).parent.parent
REAL_IMAGES = REPO.parent / "shared" / "data"

# A second of training: the digits preset on 256 images for two epochs.
TINY = {"epochs": 2, "dataset.limit": 256, "batch_size": 64}


@pytest.fixture
def tiny():
    """Make a config that trains in a second; keyword `overrides` come on top."""
    from byol_core.config import resolve

    def make(**overrides):
        dotted = {key.replace("__", "."): value for key, value in overrides.items()}
        return resolve("digits-tiny", {**TINY, **dotted})

    return make


@pytest.fixture
def cifar_npz(tmp_path):
    """Real CIFAR-10 pixels as an .npz, a few hundred of them."""
    source, unpack = REAL_IMAGES / "cifar10_full_jpegbytes.npz", REAL_IMAGES / "unpack.py"
    if not source.exists():
        pytest.skip("the real CIFAR-10 file is not here")
    out = tmp_path / "cifar.npz"
    subprocess.run(
        [sys.executable, unpack, source, out, "--as", "arrays", "--limit", "300"], check=True
    )
    return out


@pytest.fixture
def damaged_npz(tmp_path):
    """An .npz whose headers are right, which is all that a plan reads, and whose images are not."""
    file = tmp_path / "damaged.npz"
    images = np.random.default_rng(0).integers(0, 256, (150, 8, 8), dtype=np.uint8)
    labels = np.arange(150) % 3
    np.savez(file, x_train=images, y_train=labels, x_test=images, y_test=labels)
    content = bytearray(file.read_bytes())
    content[5000] ^= 255
    file.write_bytes(content)
    return file


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Real photos of ten classes as a folder, 300 to train on and 300 to judge on; they are only
    read.
    """
    source, unpack = REAL_IMAGES / "imagenette96_full_jpegbytes.npz", REAL_IMAGES / "unpack.py"
    if not source.exists():
        pytest.skip("the real Imagenette file is not here")
    out = tmp_path_factory.mktemp("photos")
    subprocess.run(
        [sys.executable, unpack, source, out, "--as", "folder", "--limit", "300"], check=True
    )
    return out


class Silent:
    """An observer that keeps what it is told and stops where it is asked to."""

    def __init__(self, stop_at=None):
        self.points, self.checkpoints, self.starts, self.stop_at, self.asked = (
            [],
            [],
            [],
            stop_at,
            0,
        )

    def started(self, step, total_steps, exact):
        self.starts.append((step, total_steps, exact))
        self.asked = step

    def measured(self, step, epoch, metrics, images_per_s):
        self.points.append((step, epoch, metrics))

    def before_write(self):
        pass

    def checkpointed(self, step):
        self.checkpoints.append(step)

    def stop_reason(self):
        self.asked += 1
        return "asked to" if self.stop_at is not None and self.asked > self.stop_at else None


@pytest.fixture
def silent():
    return Silent


SPEC = """\
version: 1
name: tiny
base: {preset: digits-tiny, epochs: 2, dataset.limit: 256, batch_size: 64}
seeds: [0, 1]
baseline: byol
variants:
  byol:    {projector.norm: bn, predictor.norm: bn}
  no_norm: {projector.norm: none, predictor.norm: none}
tables: [mlp_norm]
resources: {gpus: 0, cpus: 1, mem_gb: 1, timeout_min: 10}
"""


@pytest.fixture
def spec_file(tmp_path):
    """A spec of four one-second runs; `replace` pairs change its text."""

    def write(*replacements, text=SPEC, name="tiny.yaml"):
        for old, new in replacements:
            assert old in text, f"{old!r} is not in the spec text"
            text = text.replace(old, new)
        file = tmp_path / name
        file.write_text(text)
        return file

    return write


@pytest.fixture(scope="session")
def forked():
    server = Forked()
    yield server
    server.close()


@pytest.fixture
def sweep(tmp_path, forked):
    """Run the `sweep` command as a user does, in a process of its own, with root and database in
    the test's folder.
    """

    def run(*arguments, check=None, timeout=120, env=None, umask=None):
        done = forked.run(arguments, tmp_path, timeout, env, umask)
        assert check is None or done.returncode == check, (
            f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    return run


@pytest.fixture
def fake_slurm(tmp_path, monkeypatch):
    """Make a scripted SLURM the machine's own, for this process and those it starts; see
    tests/fake_slurm.
    """
    fake = FakeSlurm(tmp_path / "fake-slurm")
    for name, value in fake.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv(
        "XDG_CONFIG_HOME", str(tmp_path / "config")
    )  # no clusters.yaml but the test's
    return fake


def command(*arguments):
    return [sys.executable, "-m", "orchestrator.cli", *map(str, arguments)]


@pytest.fixture
def root(tmp_path, spec_file):
    """A planned sweep of four runs; tests of other roots have a fixture of their own."""
    from orchestrator.launch.plan import make_plan
    from orchestrator.launch.plan_files import write_plan
    from orchestrator.launch.selection import Selection
    from orchestrator.spec import load_sweep
    from orchestrator.store.jobs import Queue
    from orchestrator.store.root import Root

    root = Root(tmp_path / "root")
    root.create()
    write_plan(make_plan(load_sweep(spec_file()), root, Selection(), Queue()), root)
    return root


@pytest.fixture
def run(root):
    """The first of its runs."""
    return root.runs()[0]
