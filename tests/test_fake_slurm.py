"""The scripted SLURM answers as a real one does, so that what is tested against it means something."""

import subprocess

import pytest


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, timeout=20)


@pytest.fixture
def array(fake_slurm):
    """An array of four held tasks, called `mine`."""
    done = run(
        "sbatch", "--hold", "--parsable", "--job-name=mine", "--array=0-3%2", "--wrap", "true"
    )
    return done.stdout.strip()


def test_an_array_waits_is_released_runs_and_ends(fake_slurm, array):
    assert (
        run("squeue", "-h", "--name=mine", "-o", "%i|%T|%r").stdout
        == f"{array}_[0,1,2,3%2]|PENDING|JobHeldUser\n"
    )
    assert run("scontrol", "release", array).returncode == 0
    fake_slurm.start(f"{array}_1")
    listed = run(
        "squeue", "--noheader", "--array", "--format=%i|%T|%r|%N", "--name=mine"
    ).stdout.splitlines()
    assert (
        listed[:2] == [f"{array}_0|PENDING|Priority|", f"{array}_1|RUNNING|None|fake1"]
        and len(listed) == 4
    )
    fake_slurm.end(f"{array}_1", state="TIMEOUT")
    fake_slurm.forget(f"{array}_1")
    assert f"{array}_1" not in run("squeue", "-hr", "--states=all", "-o", "%i").stdout
    row = run(
        "sacct", "-XnP", "--jobs", array, "--format=JobID,State,ExitCode"
    ).stdout.splitlines()[1]
    assert row == f"{array}_1|TIMEOUT|0:0"


def test_single_tasks_and_names_are_cancelled(fake_slurm, array):
    assert run("scancel", f"{array}_[1-2]").returncode == 0
    assert set(fake_slurm.jobs("CANCELLED")) == {f"{array}_1", f"{array}_2"}
    assert run("scancel", "--name=other").returncode == 0 and len(fake_slurm.jobs("PENDING")) == 2
    assert run("scancel", "--name=mine").returncode == 0 and not fake_slurm.jobs("PENDING")
    assert run("scancel", "4").returncode == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"MaxArraySize": 4}, "Invalid job array specification"),
        ({"assoc": {"MaxSubmitJobs": 4}}, "AssocMaxSubmitJobLimit"),
        ({"qos": {"normal": {"MaxSubmitJobsPU": 4}}}, "QOSMaxSubmitJobPerUserLimit"),
        ({"MaxJobCount": 4}, "Resource temporarily unavailable"),
    ],
)
def test_limits_are_kept(fake_slurm, settings, said):
    fake_slurm.set(**settings)
    done = run("sbatch", "--array=0-4", "--wrap", "true")
    assert done.returncode == 1 and said in done.stderr and fake_slurm.jobs() == {}


def test_a_submission_fails_as_scripted(fake_slurm):
    fake_slurm.fail(
        "sbatch", stderr="Socket timed out on send/recv operation", accepted=True, after=1
    )
    assert [run("sbatch", "--wrap", "true").returncode for _ in range(3)] == [0, 1, 0]
    assert len(fake_slurm.jobs()) == 3 and len(fake_slurm.calls("sbatch")) == 3


def test_without_accounting_and_with_its_database_down(fake_slurm):
    fake_slurm.set(accounting="none")
    assert run("sacct", "-n").stderr == "Slurm accounting storage is disabled\n"
    fake_slurm.set(accounting="down")
    assert (
        run("sacct", "-n").returncode == 1
        and "Connection refused" in run("sacctmgr", "show", "qos", "format=Name").stderr
    )
