"""Who may read what is written: the owner under any umask, a group where the root is opened to it,
nobody else.
"""

import grp
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from byol_core.files import (
    GroupError,
    RecordLog,
    claim_folder,
    find_group,
    make_folder,
    output,
    share,
    write_json,
)
from orchestrator.database.connect import open_database
from orchestrator.slurm import submit
from orchestrator.spec.resources import Resources

UMASKS = [0, 0o027, 0o777]
ROOT_USER = os.geteuid() == 0
GROUP = grp.getgrnam("daemon").gr_gid if ROOT_USER else (os.getgroups() or [os.getegid()])[-1]
GROUP_NAME = grp.getgrgid(GROUP).gr_name


@pytest.fixture
def umask():
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)


def modes(tree):
    """Return the modes of files and of folders in a tree, the tree's own left out."""
    found = {True: set(), False: set()}
    for path in (path for path in tree.rglob("*") if not path.is_symlink()):
        found[path.is_dir()].add(oct(stat.S_IMODE(path.lstat().st_mode)))
    return found[False], found[True]


def groups(*trees):
    return {path.lstat().st_gid for tree in trees for path in (tree, *tree.rglob("*"))}


@pytest.mark.parametrize("mask", UMASKS)
def test_whatever_the_library_makes_is_its_owners_under_any_umask(tmp_path, umask, mask):
    umask(mask)
    make_folder(tmp_path / "a" / "b")
    write_json(tmp_path / "a" / "b" / "file", 1)
    claim_folder(tmp_path / "a" / "0001", "claim.json", {})
    with RecordLog(tmp_path / "a" / "log") as log:
        log.append({})
    engine = open_database(str(tmp_path / "a" / "results.db"))
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1 FROM runs")
        assert (tmp_path / "a" / "results.db-wal").exists()
        assert modes(tmp_path) == ({"0o600"}, {"0o700"})


def test_a_folder_in_a_set_group_folder_is_private_all_the_same(tmp_path):
    tmp_path.chmod(0o2775)
    make_folder(tmp_path / "root")
    assert stat.S_IMODE((tmp_path / "root").stat().st_mode) == 0o700


@pytest.mark.parametrize("mask", UMASKS)
def test_a_file_that_the_user_asked_for_follows_the_umask(tmp_path, umask, mask):
    umask(mask)
    with output(tmp_path / "out") as file:
        file.write(b"x")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o666 & ~mask


def test_a_link_in_the_place_of_a_file_of_ours_is_refused(tmp_path):
    (tmp_path / "target").write_text("theirs")
    (tmp_path / "log").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"):
        RecordLog(tmp_path / "log")
    assert (tmp_path / "target").read_text() == "theirs"


def test_sharing_opens_what_is_there_and_what_comes_but_follows_no_link(tmp_path, umask):
    umask(0o777)
    outside = tmp_path / "outside"
    make_folder(outside)
    write_json(outside / "file", 1)
    make_folder(tmp_path / "root" / "runs")
    write_json(tmp_path / "root" / "runs" / "old", 1)
    (tmp_path / "root" / "script").touch()
    (tmp_path / "root" / "script").chmod(0o700)
    (tmp_path / "root" / "folder-link").symlink_to(outside)
    (tmp_path / "root" / "file-link").symlink_to(outside / "file")
    share(tmp_path / "root", GROUP)
    assert stat.S_IMODE((tmp_path / "root" / "script").stat().st_mode) == 0o750
    for link in ("folder-link", "file-link", "script"):
        (tmp_path / "root" / link).unlink()
    make_folder(tmp_path / "root" / "runs" / "new")
    claim_folder(tmp_path / "root" / "runs" / "0001", "claim.json", {})
    assert modes(tmp_path / "root") == ({"0o640"}, {"0o2750"}) and groups(tmp_path / "root") == {
        GROUP
    }
    assert modes(outside) == ({"0o600"}, set()) and stat.S_IMODE(outside.stat().st_mode) == 0o700


def test_a_group_that_does_not_exist_or_is_not_ones_own_is_one_clear_error(
    monkeypatch, sweep, spec_file, tmp_path
):
    with pytest.raises(
        GroupError,
        match=r"--group 'no-such': no such group on this machine; name one of yours: \w+",
    ):
        find_group("no-such")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "getegid", lambda: 12345)
    monkeypatch.setattr(os, "getgroups", lambda: [GROUP])
    assert find_group(GROUP_NAME) == GROUP
    other = next(one.gr_name for one in grp.getgrall() if one.gr_gid != GROUP)
    with pytest.raises(
        GroupError, match=f"{other}.*not in this group; name one of yours: .*{GROUP_NAME}"
    ):
        find_group(other)
    done = sweep("launch", spec_file(), "--group", "no-such", check=2)
    assert (
        done.stderr.startswith("error: --group 'no-such'")
        and not (tmp_path / "sweep-runs").exists()
    )


@pytest.mark.parametrize("mask", [0, 0o777])
def test_files_that_submitit_and_the_jobs_leave_are_private(tmp_path, umask, mask, monkeypatch):
    """The umask at submission is what SLURM hands to the job."""
    tools = tmp_path / "bin"
    tools.mkdir()
    sbatch = tools / "sbatch"
    sbatch.write_text(f"#!/bin/sh\numask > {tmp_path}/handed-down\necho 7\n")
    sbatch.chmod(0o755)
    (tools / "srun").symlink_to(sbatch)  # submitit asks whether it is there
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    resources = Resources(gpus=0, cpus=1, mem_gb=1, timeout_min=1)
    umask(mask)
    submit.submit_held(
        tmp_path / "launches" / "1", submit.Array("sweep-1", [["a" * 64]], resources), print
    )
    files, _ = modes(tmp_path / "launches")
    assert files and files <= {"0o600", "0o700"}
    assert (tmp_path / "launches" / "1").stat().st_mode & 0o777 == 0o700
    (tmp_path / "handed-down").chmod(0o600)
    assert int((tmp_path / "handed-down").read_text(), 8) == 0o077


def launch_one(sweep, spec_file, seed, mask, *options):
    run = (
        "launch",
        spec_file(),
        "--only",
        "byol",
        "--seeds",
        seed,
        "--executor",
        "inline",
        *options,
    )
    return sweep(*run, check=0, umask=mask)


def test_the_copy_that_a_rebuild_keeps_is_private(sweep, spec_file, tmp_path):
    launch_one(sweep, spec_file, 0, 0)
    shutil.rmtree(next((tmp_path / "sweep-runs" / "runs").iterdir()))
    sweep("rebuild", check=0, umask=0)
    (kept,) = tmp_path.glob("results.db.before-rebuild-*")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and kept.stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("mask", UMASKS)
def test_everything_below_the_root_and_the_database_are_private_under_any_umask(
    sweep, spec_file, tmp_path, mask
):
    launch_one(sweep, spec_file, 0, mask)
    for asked in (
        ["report", "--table", "mlp_norm"],
        ["report", "--table", "mlp_norm", "--out", "asked.txt"],
    ):
        sweep(*asked, check=0, umask=mask)
    files, folders = modes(tmp_path / "sweep-runs")
    assert files == {"0o600"} and folders == {"0o700"}
    (figure,) = (tmp_path / "sweep-runs" / "reports").glob("mlp_norm-*.png")
    assert stat.S_IMODE((tmp_path / "results.db").stat().st_mode) == 0o600
    for asked in ("asked.txt", figure.name):
        assert stat.S_IMODE((tmp_path / asked).stat().st_mode) == 0o666 & ~mask


def test_a_root_opened_to_a_group_stays_open_for_later_launches_and_a_new_database(
    sweep, spec_file, tmp_path
):
    launch_one(sweep, spec_file, 0, 0o777)
    launch_one(sweep, spec_file, 1, 0o077, "--group", GROUP_NAME)
    assert stat.S_IMODE((tmp_path / "results.db").stat().st_mode) == 0o640
    (tmp_path / "results.db").unlink()
    launch_one(sweep, spec_file, 2, 0o777)
    sweep("report", "--table", "mlp_norm", check=0)
    root = tmp_path / "sweep-runs"
    assert modes(root) == ({"0o640"}, {"0o2750"}) and stat.S_IMODE(root.stat().st_mode) == 0o2750
    assert stat.S_IMODE((tmp_path / "results.db").stat().st_mode) == 0o640
    assert groups(root, tmp_path / "results.db") == {GROUP}


@pytest.fixture
def open_place():
    """A folder that other users can get to; pytest closes its own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.mark.skipif(not ROOT_USER, reason="only root can act as another user")
def test_a_member_of_the_group_reads_everything_and_others_nothing(sweep, spec_file, open_place):
    root, db, home = open_place / "sweep-runs", open_place / "results.db", open_place / "member"
    launch = (
        "launch",
        spec_file(),
        "--only",
        "byol",
        "--seeds",
        "0",
        "--executor",
        "inline",
        "--group",
        GROUP_NAME,
    )
    sweep("--root", root, "--db", db, *launch, check=0)
    home.mkdir()
    os.chown(home, pwd.getpwnam("nobody").pw_uid, GROUP)

    def act(group, action):
        done = subprocess.run(
            [sys.executable, "-c", AS_ANOTHER, action, str(group)],
            cwd=home,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout.rpartition("now as another\n")[2] + done.stderr

    read = f"from analysis import load; print(len(load.runs(db={str(db)!r})), 'run read')"
    status = f"app(['--root', {str(root)!r}, '--db', f'{{os.getuid()}}.db', 'status'], standalone_mode=False)"
    assert act(GROUP, read) == (0, "1 run read\n")
    code, text = act(GROUP, status)
    assert code == 0 and "1 done" in text
    for action in (read, status):
        code, text = act(pwd.getpwnam("nobody").pw_gid, action)
        assert code != 0 and "1 done" not in text and "run read" not in text


# Acts twice: first as root, so that all modules are loaded, which lie where the other user need not get to.
AS_ANOTHER = """
import os, pwd, sys
from orchestrator.cli.main import app
action, group = sys.argv[1], int(sys.argv[2])
exec(action)
print("now as another", flush=True)
os.setgroups([group])
os.setgid(group)
os.setuid(pwd.getpwnam("nobody").pw_uid)
exec(action)
"""
