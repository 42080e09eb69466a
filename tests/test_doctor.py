"""`sweep doctor`: each check against a fault that it is there to find, and against its absence."""

import errno
import fcntl
import json
import os
import time
from types import SimpleNamespace

import pytest

from orchestrator.doctor import cluster, files, limits, machine, partitions, preemption, probe
from orchestrator.doctor.database import check_database, disk
from orchestrator.doctor.finding import Level
from orchestrator.errors import SchedulerError
from orchestrator.filesystem import FileSystem
from orchestrator.spec import Resources

# Files: the real file system, then one fault each


def levels(findings):
    return {one.name: one.level for one in findings}


def test_a_good_folder_passes_and_nothing_stays_in_it(tmp_path):
    found = levels(files.check_files(tmp_path / "not" / "there", on_cluster=False))
    assert {found[name] for name in ("file system", "permissions", "locks", "claims", "clock")} == {Level.OK}
    assert list(tmp_path.iterdir()) == []


def test_a_local_disk_is_a_warning_on_a_cluster_only(tmp_path):
    assert files.kind(tmp_path, on_cluster=True).level == Level.WARN
    assert files.kind(tmp_path, on_cluster=False).level == Level.OK


def test_locks_that_do_not_exclude_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(files.fcntl, "flock", lambda *_: None)  # as on a mount with locks of its own on each node
    assert files.locks(tmp_path).level == Level.FAIL


def test_locks_that_are_refused_are_found(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    found = files.locks(tmp_path)
    assert found.level == Level.FAIL and "-o flock" in found.fix


def test_claims_that_two_can_make_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "claim_folder", lambda *_: True)
    assert files.claims(tmp_path).level == Level.FAIL


def test_files_that_others_can_read_are_found(tmp_path, monkeypatch):
    def careless(file, content):
        file.write_bytes(content)
        file.chmod(0o644)

    monkeypatch.setattr(files, "write_atomic", careless)
    assert files.permissions(tmp_path).level == Level.WARN


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_off_is_found_with_its_sign(tmp_path, monkeypatch, hours):
    real = time.time
    monkeypatch.setattr(files.time, "time", lambda: real() - 3600 * hours)
    found = files.clock(tmp_path)
    assert found.level == Level.WARN and f"{3600 * hours:+}" in found.found


def test_little_space_and_few_inodes_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: SimpleNamespace(free=5e9))
    monkeypatch.setattr(files.os, "statvfs", lambda _: SimpleNamespace(f_files=1_000_000, f_favail=500))
    assert files.space(tmp_path).level == files.inodes(tmp_path).level == Level.WARN
    monkeypatch.setattr(files.os, "statvfs", lambda _: SimpleNamespace(f_files=0, f_favail=0))  # btrfs, some network ones
    assert files.inodes(tmp_path).level == Level.OK


@pytest.mark.parametrize(("printed", "level"), [("", Level.OK), ("Disk quotas: block limit reached on /home", Level.WARN)])
def test_a_reached_quota_is_found(tmp_path, monkeypatch, printed, level):
    tool = tmp_path / "quota"
    tool.write_text(f"#!/bin/sh\nprintf '%s' '{printed}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert files.quota().level == level


def test_a_folder_that_cannot_be_written_fails(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files.tempfile, "mkdtemp", refuse)
    assert levels(files.check_files(tmp_path, on_cluster=False))["writing"] == Level.FAIL


# Database and machine


def test_a_database_that_is_none_fails_and_a_new_one_is_not_made(tmp_path):
    broken, new = tmp_path / "broken.db", tmp_path / "new.db"
    broken.write_bytes(b"no database" * 1000)
    assert check_database(str(broken))[0].level == Level.FAIL
    assert check_database(str(new))[0].level == Level.OK and not new.exists()


def test_a_database_on_a_network_disk_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr("orchestrator.doctor.database.filesystem_of", lambda _: FileSystem("nfs4", "/"))
    assert disk(tmp_path).level == Level.WARN


def test_a_missing_package_fails():
    assert machine.packages({"python": "3.11", "torch": "2.6"}).level == Level.OK
    found = machine.packages({"python": "3.11", "torch": "not installed"})
    assert found.level == Level.FAIL and "torch" in found.found


# SLURM: what it prints, as recorded from 22.05 (scontrol show config, sinfo, scontrol show partition)

CONFIG = """\
Configuration data as of 2026-11-21T09:19:01
AccountingStorageType   = accounting_storage/slurmdbd
ClusterName             = test
JobRequeue              = 1
KillWait                = 30 sec
MaxArraySize            = 1001
MaxJobCount             = 20000
MinJobAge               = 300 sec
PreemptMode             = REQUEUE
PreemptType             = preempt/partition_prio
SLURM_VERSION           = 22.05.8
SlurmctldParameters     = preempt_send_user_signal

Slurmctld(primary) at login is UP
"""
PARTITION = "PartitionName=debug Default=YES GraceTime=10 MaxTime=UNLIMITED PreemptMode=REQUEUE State=UP\n"
QOS = "normal||\nshort|2|25\nothers|1|1\n"
SINFO = (
    "debug*|up|infinite|1|gpu:4\nlong|up|2-00:00:00|3|(null)\nlong|up|2-00:00:00|1|gpu:a100:8(S:0)\ncpu|down|30:00|2|(null)\n"
)


def answers(monkeypatch, module, **by_command):
    def ask(*command, **_):
        answer = by_command[command[0]]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(module, "ask", ask)


@pytest.fixture
def config(monkeypatch):
    answers(monkeypatch, cluster, scontrol=CONFIG, sacct="")
    return cluster.read_config()


def test_the_configuration_is_read(config):
    assert config["ClusterName"] == "test" and config["KillWait"] == "30 sec"


def test_accounting_answers_is_off_or_is_down(config, monkeypatch):
    assert cluster.accounting(config).level == Level.OK
    assert cluster.accounting({"AccountingStorageType": "accounting_storage/none"}).level == Level.WARN
    answers(monkeypatch, cluster, sacct=SchedulerError("sacct failed: Connection refused"))
    found = cluster.accounting(config)
    assert found.level == Level.WARN and "Connection refused" in found.found


def test_commands_that_are_missing_are_named(monkeypatch):
    answers(monkeypatch, cluster, sbatch="", squeue="", scontrol="", scancel=SchedulerError("scancel is not here"), sinfo="")
    found = cluster.commands()
    assert found.level == Level.FAIL and "scancel" in found.found


def test_the_array_limit_is_the_highest_index(config):
    assert "1,000 jobs" in limits.array_size(config).found  # rnabio/sracha-rs#81: 1001 is one too many
    assert limits.array_size({}).level == Level.WARN and limits.array_size({"MaxArraySize": "0"}).level == Level.WARN


def test_a_short_memory_is_a_warning(config):
    assert limits.memory(config).level == Level.OK and limits.memory({"MinJobAge": "2 sec"}).level == Level.WARN


def test_own_limits_are_those_of_association_and_qos(monkeypatch):
    answers(monkeypatch, limits, sacctmgr="")
    assert limits.own_limits().found == "none"
    monkeypatch.setattr(limits, "ask", lambda *words, **_: "normal,short|4|\n" if "associations" in words else QOS)
    found = limits.own_limits()
    assert found.level == Level.WARN and found.found.split("; ") == [
        "you: 4 jobs at once",
        "QOS short: 2 jobs at once",
        "QOS short: 25 jobs submitted",
    ]
    answers(monkeypatch, limits, sacctmgr=SchedulerError("sacctmgr failed"))
    assert limits.own_limits().level == Level.OK  # without accounting there are none


def test_preemption_is_described(config, monkeypatch):
    answers(monkeypatch, partitions, scontrol=PARTITION)
    settings = partitions.read_settings()
    found = {one.name: one for one in preemption.check_preemption(config, settings)}
    assert "REQUEUE" in found["preemption"].found and "SIGUSR2" in found["signal"].found
    assert found["time to leave"].level == Level.OK and "debug 40 s" in found["time to leave"].found
    quick = {**config, "KillWait": "5 sec", "JobRequeue": "0", "SlurmctldParameters": "(null)"}
    found = {one.name: one for one in preemption.check_preemption(quick, settings)}
    assert found["time to leave"].level == found["requeue"].level == Level.WARN and "SIGTERM alone" in found["signal"].found
    assert "off" in preemption.mode({"PreemptType": "preempt/none"}, {}).found
    assert preemption.mode({**config, "PreemptMode": "GANG,SUSPEND"}, {}).level == Level.WARN


@pytest.fixture
def known(monkeypatch):
    answers(monkeypatch, partitions, sinfo=SINFO)
    return partitions.read_partitions()


def test_partitions_are_read_with_gpus_and_limits(known):
    assert [(one.name, one.nodes, one.limit_min, one.has_gpus) for one in known] == [
        ("debug", 1, None, True),
        ("long", 4, 2880, True),
        ("cpu", 2, 30, False),
    ]
    assert [one.level for one in partitions.check_partitions(known, None)] == [Level.OK, Level.OK, Level.WARN]
    assert [one.level for one in partitions.check_partitions([], None)] == [Level.FAIL]


FITS = {
    "the default partition": (Resources(gpus=1), Level.OK, "debug"),
    "a partition that is none": (Resources(partition="lon"), Level.FAIL, "debug, long, cpu"),
    "GPUs where there are none": (Resources(gpus=1, partition="cpu", timeout_min=10), Level.FAIL, "debug, long"),
    "no GPUs there": (Resources(gpus=0, partition="cpu", timeout_min=10), Level.OK, "cpu"),
    "longer than allowed": (Resources(gpus=0, partition="cpu", timeout_min=31), Level.FAIL, "timeout_min"),
}


@pytest.mark.parametrize("name", FITS)
def test_a_request_fits_its_partition_or_is_told_why_not(known, name):
    wanted, level, text = FITS[name]
    found = partitions.fits(known, wanted)
    assert found.level == level and text in found.found + found.fix


# The probe, run here


def test_the_probe_writes_what_it_finds(tmp_path, monkeypatch):
    (tmp_path / probe.LOCK).touch()
    missing = {"name": "arrays", "path": str(tmp_path / "none.npz")}
    with (tmp_path / probe.LOCK).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        probe.probe(str(tmp_path), [{"name": "digits"}, missing])
    found = json.loads((tmp_path / probe.REPORT).read_text())
    assert found["lock_is_free"] is False and found["training"]["error"] is None
    assert len(found["missing_data"]) == 1 and "none.npz" in found["missing_data"][0]


def test_the_probe_sees_locks_that_hold_on_one_node_only(tmp_path):
    (tmp_path / probe.LOCK).touch()  # held on the login node, but free here
    assert probe._lock_is_free(tmp_path / probe.LOCK) is True
