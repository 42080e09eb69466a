"""A launcher that dies or loses power at any effect or SLURM command of a submission: one job a
run, and no orphan.

`make slow-test` visits some places, `make crash-test` all of them (marker exhaustive).
"""

import multiprocessing
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest
from disk import DEAD, Disk
from test_orchestrator_submit import SILENT, one_job_each

from byol_core.files import many
from orchestrator.launch.launch import launch
from orchestrator.launch.options import LaunchOptions
from orchestrator.launch.selection import Selection
from orchestrator.provenance.snapshot import take_snapshot
from orchestrator.spec import load_sweep
from orchestrator.store.root import Root
from orchestrator.store.submissions import submissions

_DAYS = 24


class LaunchersDisk(Disk):
    """Counts calls of SLURM's commands too, before and after each, and knows that syncfs syncs
    everything.
    """

    def install(self):
        super().install()
        run, sync = subprocess.run, many.sync_file_system

        def hooked_run(*arguments, **keywords):
            self.pass_by()
            done = run(*arguments, **keywords)
            self.pass_by()
            return done

        def hooked_sync(folders):
            self.pass_by()
            sync(folders)
            facts = [path.stat() for path in Path(self.root).rglob("*")]
            self.synced, self.undo = {one.st_ino: one.st_size for one in facts}, []

        subprocess.run, many.sync_file_system = hooked_run, hooked_sync

    def pass_by(self):
        self.count += 1
        if self.count == self.k:
            self.fail("command", ())


def start(root, file):
    return launch(LaunchOptions(load_sweep(file), Selection(), "slurm"), root, SILENT).sent


def start_on(root, file, k, fault, count):
    """The child."""
    disk = LaunchersDisk(root.path, k, fault)
    disk.install()
    start(root, file)
    count.value = disk.count


def child(root, file, k, fault):
    context = multiprocessing.get_context("fork")
    count = context.Value("i", 0)
    process = context.Process(target=start_on, args=(root, file, k, fault, count))
    process.start()
    process.join(100)
    return process.exitcode, count.value


@pytest.fixture
def file(spec_file, fake_slurm):
    """Four runs in two arrays."""
    fake_slurm.set(MaxArraySize=2)
    return spec_file()


def new_root(tmp_path):
    """Return an empty root beside a copy of the code, which is taken once: its many files have
    tests of their own.
    """
    code, root = Root(tmp_path / "code-of-all"), Root(tmp_path / "root")
    shutil.rmtree(root.path, ignore_errors=True)
    root.path.mkdir()
    (root.path / "code").symlink_to(take_snapshot(code).parent)
    return root


@pytest.fixture
def effects(tmp_path, file, fake_slurm):
    root = new_root(tmp_path)
    status, count = child(root, file, 0, "die")
    assert status == 0 and count > 60, "too few effects are seen to mean anything"
    fake_slurm.change(*fake_slurm.jobs(), state="CANCELLED")
    return count


def check_recovery(tmp_path, file, fake_slurm, k, fault):
    where = f"{fault} at effect {k}"
    root = new_root(tmp_path)
    assert child(root, file, k, fault)[0] == DEAD, f"{where} was never reached"
    known = {job_id for one in submissions(root) for job_id in one.job_ids}
    free = {job_id for job_id, job in fake_slurm.jobs("PENDING").items() if not job["held"]}
    assert free <= known, f"{where}: a job may start that the log does not know"
    start(root, file)
    assert one_job_each(fake_slurm, root), where
    assert start(root, file).job_ids == [], f"{where}: submitted twice"
    fake_slurm.change(*fake_slurm.jobs(), state="CANCELLED")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["die", "power"])
def test_dora_orphan_token_dying_at_some_effects_leaves_one_job_a_run(
    tmp_path, file, fake_slurm, effects, fault
):
    for k in range(1 + date.today().toordinal() % _DAYS, effects + 1, _DAYS):
        check_recovery(tmp_path, file, fake_slurm, k, fault)


@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", ["die", "power"])
def test_dying_at_any_effect_leaves_one_job_a_run(tmp_path, file, fake_slurm, effects, fault):
    for k in range(1, effects + 1):
        check_recovery(tmp_path, file, fake_slurm, k, fault)
