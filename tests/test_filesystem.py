"""Which file system a path lies on, from lists of mounts as Linux writes them."""

import pytest

from orchestrator.machine.filesystem import FileSystem, filesystem_of

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / {home} rw,relatime shared:2 - {kind} server:/export rw,vers=4.2
31 30 8:2 / {home}/scratch\\040disk rw - xfs /dev/sdb rw
"""


@pytest.mark.parametrize(
    ("kind", "network"),
    [
        ("nfs4", True),
        ("lustre", True),
        ("fuse.sshfs", True),
        ("gpfs", True),
        ("xfs", False),
        ("overlay", False),
    ],
)
def test_the_deepest_mount_decides(tmp_path, kind, network):
    (tmp_path / "scratch disk").mkdir()
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(home=tmp_path, kind=kind))
    assert filesystem_of(tmp_path / "sweeps" / "not yet there", mounts) == FileSystem(
        kind, str(tmp_path)
    )
    assert filesystem_of(tmp_path, mounts).is_network is network
    assert filesystem_of(tmp_path / "scratch disk" / "results.db", mounts).kind == "xfs"
    assert filesystem_of(tmp_path.parent, mounts).kind == "ext4"


def test_a_later_mount_hides_an_earlier_one_at_the_same_place(tmp_path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"22 1 8:1 / / rw - ext4 a rw\n23 22 0:3 / {tmp_path} rw - nfs4 b rw\n24 22 0:4 / {tmp_path} rw - tmpfs c rw\n"
    )
    assert filesystem_of(tmp_path, mounts).kind == "tmpfs"


def test_without_a_list_nothing_is_guessed(tmp_path):
    assert filesystem_of(tmp_path, tmp_path / "none") == FileSystem("unknown", "/")


def test_this_machine_has_a_file_system(tmp_path):
    assert filesystem_of(tmp_path).kind != "unknown"


def test_a_database_on_a_network_file_system_keeps_a_rollback_journal_and_says_why(
    tmp_path, monkeypatch
):
    from orchestrator.database import connect

    assert connect.shared_warning(str(tmp_path / "local.db")) is None
    with connect.open_database(str(tmp_path / "local.db")).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    monkeypatch.setattr(connect, "filesystem_of", lambda _: FileSystem("nfs4", "/home"))
    with connect.open_database(str(tmp_path / "shared.db")).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    assert not (tmp_path / "shared.db-wal").exists()
    assert "network file system (nfs4)" in connect.shared_warning(str(tmp_path / "shared.db"))
    assert connect.shared_warning("postgresql://host/results") is None
