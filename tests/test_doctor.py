"""`sweep doctor`: each check against a fault that it is there to find, and against its absence."""

import errno
import fcntl
import json
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from byol_core.files import write_json
from orchestrator.doctor import (
    cluster,
    files,
    judge_probe,
    limits,
    machine,
    partitions,
    preemption,
    probe,
    requests,
    send_probe,
)
from orchestrator.doctor.database import check_database, disk
from orchestrator.doctor.finding import Level
from orchestrator.errors import SchedulerError
from orchestrator.machine.filesystem import FileSystem
from orchestrator.slurm import limits as slurm_limits
from orchestrator.slurm import partitions as slurm_partitions
from orchestrator.slurm.durations import seconds_of
from orchestrator.spec import Resources, load_sweep
from orchestrator.store.root import Root

pytestmark = pytest.mark.slow

# Files: the real file system, then one fault each


def levels(findings):
    return {one.name: one.level for one in findings}


def test_a_good_folder_passes_and_nothing_stays_in_it(tmp_path):
    found = levels(files.check_files(tmp_path / "not" / "there", on_cluster=False))
    assert {found[name] for name in ("file system", "permissions", "locks", "claims", "clock")} == {
        Level.OK
    }
    assert list(tmp_path.iterdir()) == []


def test_a_local_disk_is_a_warning_on_a_cluster_only(tmp_path):
    assert files.kind(tmp_path, on_cluster=True).level == Level.WARN
    assert files.kind(tmp_path, on_cluster=False).level == Level.OK


def test_locks_that_do_not_exclude_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(
        files.fcntl, "flock", lambda *_: None
    )  # as on a mount with locks of its own on each node
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
    assert found.level == Level.WARN and f"{3600 * hours:+}" in found.observed


def test_little_space_and_few_inodes_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: SimpleNamespace(free=5e9))
    monkeypatch.setattr(
        files.os, "statvfs", lambda _: SimpleNamespace(f_files=1_000_000, f_favail=500)
    )
    assert files.space(tmp_path).level == files.inodes(tmp_path).level == Level.WARN
    monkeypatch.setattr(
        files.os, "statvfs", lambda _: SimpleNamespace(f_files=0, f_favail=0)
    )  # btrfs, some network ones
    assert files.inodes(tmp_path).level == Level.OK


@pytest.mark.parametrize(
    ("printed", "level"),
    [("", Level.OK), ("Disk quotas: block limit reached on /home", Level.WARN)],
)
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
    monkeypatch.setattr(
        "orchestrator.doctor.database.filesystem_of", lambda _: FileSystem("nfs4", "/")
    )
    assert disk(tmp_path).level == Level.WARN


def test_a_missing_package_fails():
    assert machine.packages({"python": "3.11", "torch": "2.6"}).level == Level.OK
    found = machine.packages({"python": "3.11", "torch": "not installed"})
    assert found.level == Level.FAIL and "torch" in found.observed


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
PARTITION = (
    "PartitionName=debug Default=YES GraceTime=10 MaxTime=UNLIMITED PreemptMode=REQUEUE State=UP\n"
)
QOS = "normal||\nshort|2|25\nothers|1|1\n"
SINFO = "debug*|up|infinite|1|gpu:4\nlong|up|2-00:00:00|3|(null)\nlong|up|2-00:00:00|1|gpu:a100:8(S:0)\ncpu|down|30:00|2|(null)\n"


def answers(monkeypatch, module, **by_command):
    def ask(*command, **_):
        answer = by_command[command[0]]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(module, "ask", ask)


@pytest.fixture
def config(monkeypatch):
    answers(monkeypatch, cluster, sacct="")
    answers(monkeypatch, slurm_limits, scontrol=CONFIG)
    return slurm_limits.read_config()


def test_the_configuration_is_read(config):
    assert config["ClusterName"] == "test" and config["KillWait"] == "30 sec"


def test_accounting_answers_is_off_or_is_down(config, monkeypatch):
    assert cluster.accounting(config).level == Level.OK
    assert (
        cluster.accounting({"AccountingStorageType": "accounting_storage/none"}).level == Level.WARN
    )
    answers(monkeypatch, cluster, sacct=SchedulerError("sacct failed: Connection refused"))
    found = cluster.accounting(config)
    assert found.level == Level.WARN and "Connection refused" in found.observed


def test_commands_that_are_missing_are_named(monkeypatch):
    answers(
        monkeypatch,
        cluster,
        sbatch="",
        squeue="",
        scontrol="",
        scancel=SchedulerError("scancel is not here"),
        sinfo="",
    )
    found = cluster.commands()
    assert found.level == Level.FAIL and "scancel" in found.observed


def test_the_array_limit_is_the_highest_index(config):
    assert (
        "1,001 jobs" in limits.array_size(config).observed
    )  # with indices 0 to 1000; rnabio/sracha-rs#81: index 1001 is too high
    assert (
        limits.array_size({}).level == Level.WARN
        and limits.array_size({"MaxArraySize": "0"}).level == Level.WARN
    )


def test_a_short_memory_is_a_warning(config):
    assert (
        limits.memory(config).level == Level.OK
        and limits.memory({"MinJobAge": "2 sec"}).level == Level.WARN
    )


def test_own_limits_are_those_of_association_and_qos(monkeypatch):
    answers(monkeypatch, slurm_limits, sacctmgr="")
    assert limits.own_limits().observed == "none"
    monkeypatch.setattr(
        slurm_limits,
        "ask",
        lambda *words, **_: "normal,short|4|\n" if "associations" in words else QOS,
    )
    found = limits.own_limits()
    assert found.level == Level.WARN and found.observed.split("; ") == [
        "you: 4 jobs at once",
        "QOS short: 2 jobs at once",
        "QOS short: 25 jobs submitted",
    ]
    answers(monkeypatch, slurm_limits, sacctmgr=SchedulerError("sacctmgr failed"))
    assert limits.own_limits().level == Level.OK  # without accounting there are none


def test_preemption_is_described(config, monkeypatch):
    answers(monkeypatch, slurm_partitions, scontrol=PARTITION)
    settings = slurm_partitions.read_settings()
    found = {one.name: one for one in preemption.check_preemption(config, settings)}
    assert "REQUEUE" in found["preemption"].observed and "SIGUSR2" in found["signal"].observed
    assert (
        found["time to leave"].level == Level.OK and "debug 40 s" in found["time to leave"].observed
    )
    quick = {**config, "KillWait": "5 sec", "JobRequeue": "0", "SlurmctldParameters": "(null)"}
    found = {one.name: one for one in preemption.check_preemption(quick, settings)}
    assert (
        found["time to leave"].level == found["requeue"].level == Level.WARN
        and "SIGTERM alone" in found["signal"].observed
    )
    assert "off" in preemption.mode({"PreemptType": "preempt/none"}, {}).observed
    assert preemption.mode({**config, "PreemptMode": "GANG,SUSPEND"}, {}).level == Level.WARN


DURATIONS = {
    "2-03:04:05": 183845,
    "1-12": 129600,
    "1-12:30": 131400,
    "4:00:00": 14400,
    "00:02:00": 120,
    "30:00": 1800,
    "0:05": 5,
    "10": 10,
    "30 sec": 30,
    " 1:00\n": 60,
    "infinite": None,
    "UNLIMITED": None,
    "INVALID": None,
    "(null)": None,
    "": None,
    "1-": None,
    "1:2:3:4": None,
    "-1:00": None,
}


@pytest.mark.parametrize("printed", DURATIONS)
def test_durations_are_read_in_every_form_that_slurm_prints(printed):
    assert seconds_of(printed) == DURATIONS[printed]


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
    assert [one.level for one in partitions.check_partitions(known, [], OFFERS)] == [
        Level.OK,
        Level.OK,
        Level.WARN,
    ]
    assert [one.level for one in partitions.check_partitions([], [], OFFERS)] == [Level.FAIL]


CPU = {"PartitionName": "cpu", "MaxTime": "30:00"}
OFFERS = partitions.Offers(settings={"cpu": CPU})
FITS = {
    "the default partition": (Resources(gpus=1), Level.OK, "debug"),
    "a partition that is none": (Resources(partition="lon"), Level.FAIL, "debug, long, cpu"),
    "GPUs where there are none": (
        Resources(gpus=1, partition="cpu", timeout_min=10),
        Level.FAIL,
        "debug, long",
    ),
    "no GPUs there": (Resources(gpus=0, partition="cpu", timeout_min=10), Level.OK, "cpu"),
    "longer than allowed": (
        Resources(gpus=0, partition="cpu", timeout_min=31),
        Level.FAIL,
        "timeout_min",
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_a_request_fits_its_partition_or_is_told_why_not(known, name):
    wanted, level, text = FITS[name]
    found = partitions.fits(known, wanted, OFFERS)
    assert found.level == level and text in found.observed + found.fix


# The probe, run here, then as a job of the scripted SLURM


@pytest.fixture
def folder(tmp_path):
    (tmp_path / probe.LOCK).touch()
    write_json(
        tmp_path / probe.ASKED,
        [{"name": "digits"}, {"name": "arrays", "path": str(tmp_path / "none.npz")}],
    )
    return tmp_path


def test_the_probe_writes_what_it_finds(folder):
    with (folder / probe.LOCK).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        probe.probe(folder)
    found = json.loads((folder / probe.REPORT).read_text())
    assert found["lock_is_free"] is False and found["training"]["error"] is None
    assert len(found["missing_data"]) == 1 and "none.npz" in found["missing_data"][0]


def test_locks_that_hold_on_one_node_only_are_seen(folder):
    assert probe._lock_is_free(folder / probe.LOCK) is True  # held on the login node, but free here
    assert [judge_probe.lock(free).level for free in (True, None, False)] == [
        Level.WARN,
        Level.WARN,
        Level.OK,
    ]


def good_report(**changes):
    training = {"error": None, "gpus": 1, "torch": "2.6"}
    tmp = {"path": "/tmp", "free_bytes": 1e12}
    common = {
        "host": "n1",
        "code": "/home/me/byol",
        "lock_is_free": False,
        "file_clock_offset_s": 0.0,
        "missing_data": [],
    }
    return {**common, "tmp": tmp, "training": training, **changes}


BITES = {
    "nothing": ({}, 0, None, Level.OK),
    "no module": (
        {"training": {"error": "ImportError: x", "gpus": 1, "torch": None}},
        0,
        "code in a job",
        Level.FAIL,
    ),
    "no GPU": (
        {"training": {"error": None, "gpus": 0, "torch": "2.6"}},
        0,
        "GPUs in a job",
        Level.FAIL,
    ),
    "no data": ({"missing_data": ["stl10 is not in /data"]}, 0, "data in a job", Level.FAIL),
    "a clock an hour ahead": ({"file_clock_offset_s": -3600.0}, 3600, "clocks", Level.WARN),
    "a slow file system": ({}, -60, "file sight", Level.WARN),
    "a full disk": ({"tmp": {"path": "/tmp", "free_bytes": 1e6}}, 0, "node's disk", Level.WARN),
}


@pytest.mark.parametrize("name", BITES)
def test_a_report_is_judged(tmp_path, name):
    changes, later_s, culprit, level = BITES[name]
    found = good_report(**changes, written_at=time.time() + later_s)
    told = levels(judge_probe.read_report(found, "7", 1, time.time(), tmp_path))
    assert {key: value for key, value in told.items() if value != Level.OK} == (
        {culprit: level} if culprit else {}
    )


def play(fake, script):
    """Let the scripted SLURM do something with the probe once it is released."""

    def wait():
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for job_id, job in fake.jobs("PENDING").items():
                if not job["held"]:
                    return script(job_id)
            time.sleep(0.1)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
def test_a_probe_job_comes_back_and_leaves_nothing(fake_slurm, tmp_path, spec_file):
    notes, root = [], Root(tmp_path / "root")
    node = play(fake_slurm, fake_slurm.execute)
    found = levels(send_probe.probe_cluster(root, load_sweep(spec_file()), 60, notes.append))
    node.join(30)
    assert set(found.values()) == {Level.OK} and len(found) == 8, found
    assert (
        notes[0].startswith("probe is SLURM job") and list((root.path / "doctor").iterdir()) == []
    )
    (submitted,) = fake_slurm.calls("sbatch")
    assert "--hold" in submitted and [words[0] for words in fake_slurm.calls("scontrol")] == [
        "show",
        "release",
    ]


def test_a_probe_job_that_never_starts_is_cancelled_and_says_why(fake_slurm, tmp_path):
    (found,) = send_probe.probe_cluster(Root(tmp_path / "root"), None, 1.0, lambda _: None)
    assert found.level == Level.FAIL and "other jobs come first (Priority)" in found.observed
    assert {job["state"] for job in fake_slurm.jobs().values()} == {"CANCELLED"}


def test_the_clusters_own_defaults_count_and_a_mistake_in_them_is_told(
    fake_slurm, tmp_path, spec_file, monkeypatch
):
    file = tmp_path / "clusters.yaml"
    monkeypatch.setenv("SWEEP_CLUSTERS", str(file))
    file.write_text("clusters: {fake: {partition: high, setup: [echo prepared], account: lab}}\n")
    (asked,) = requests.requests_of_sweep(load_sweep(spec_file()), "fake")
    assert (asked.partition, asked.gpus) == (
        "high",
        0,
    ) and "describes fake" in requests.check_clusters("fake").observed
    assert "says nothing of other" in requests.check_clusters("other").observed
    send_probe.probe_cluster(Root(tmp_path / "root"), load_sweep(spec_file()), 0.5, lambda _: None)
    (submitted,) = fake_slurm.calls("sbatch")
    assert {"--partition=high", "--account=lab"} <= set(submitted)
    file.write_text("clusters: {fake: {partitoin: high}}\n")
    found = requests.check_clusters("fake")
    assert (
        found.level == Level.FAIL
        and "clusters.yaml:1" in found.observed
        and "did you mean 'partition'" in found.observed
    )


def test_a_probe_job_that_dies_shows_its_last_words(fake_slurm, tmp_path, monkeypatch):
    monkeypatch.setattr(send_probe, "_LATE_S", 0.5)

    def die(job_id):
        (output,) = [
            word.partition("=")[2]
            for word in fake_slurm.calls("sbatch")[0]
            if word.startswith("--output=")
        ]
        Path(output).write_text("/usr/bin/python: no such file\n")
        fake_slurm.end(job_id, state="FAILED", exit="127:0")

    play(fake_slurm, die)
    (found,) = send_probe.probe_cluster(Root(tmp_path / "root"), None, 30, lambda _: None)
    assert (
        found.level == Level.FAIL and "no such file" in found.observed and "ended" in found.observed
    )


def test_a_refused_probe_job_is_slurms_own_text(fake_slurm, tmp_path, spec_file):
    sweep = load_sweep(spec_file(("gpus: 0", "gpus: 0, partition: nowhere")))
    (found,) = send_probe.probe_cluster(Root(tmp_path / "root"), sweep, 5, lambda _: None)
    assert found.level == Level.FAIL and "invalid partition specified: nowhere" in found.observed


def test_doctor_examines_the_cluster_from_the_command_line(fake_slurm, sweep, spec_file, tmp_path):
    found = json.loads(sweep("doctor", spec_file(), "--json", check=0).stdout)
    assert found["ok"] and {"this machine", "run folders", "database", "spec", "SLURM"} == {
        one["topic"] for one in found["findings"]
    }
    fake_slurm.fail(
        "scontrol", stderr="slurm_load_ctl_conf error: Unable to contact slurm controller", times=9
    )
    down = sweep("doctor", check=1)
    assert (
        "Unable to contact slurm controller" in " ".join(down.stdout.split())
        and not (tmp_path / "sweep-runs").exists()
    )
