"""What is on the disk when a durable function has returned: all that it promised, were the power to
go at that moment.

The folder is watched by `disk.Disk` in a child process, which then drops everything that was not
synced.
"""

import os
import traceback

import pytest
from disk import DEAD, Disk

from byol_core.files import (
    RecordLog,
    RecordReader,
    claim_folder,
    make_folder,
    publish_folder,
    read_json,
    write_json,
)
from byol_core.train.background import BackgroundSaves
from byol_core.train.checkpoint import Checkpoints
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root
from orchestrator.store.standing import last_word

# One thread: a forked child must not wait for its parent's threads.
JOB = AttemptContext(
    "inline", capture=False, device="cpu", threads=1, log_every=1, checkpoint_every_s=0
)


def lose_power_after(folder, action, at_effect=0):
    """Do it in a child and lose power when it has returned, or before its k-th effect; return how
    many effects it had.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            disk = Disk(folder, at_effect, "power")
            disk.install()
            action()
            disk.lose_power()
            os.write(writer, b"%d" % disk.count)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader) as said:
        effects = said.read()
    assert effects or os.waitstatus_to_exitcode(status) == DEAD, "the action broke"
    return int(effects or 0)


def plain_file(path, content):
    """Write without syncing, where the disk sees it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, content)
    os.close(descriptor)


def test_the_disk_drops_what_was_not_synced(tmp_path):
    lose_power_after(tmp_path, lambda: plain_file(tmp_path / "file", b"lost"))
    assert [*tmp_path.iterdir()] == []


def test_a_json_file_is_there_once_it_is_written(tmp_path):
    lose_power_after(tmp_path, lambda: write_json(tmp_path / "file", {"version": "new"}))
    assert read_json(tmp_path / "file") == {"version": "new"}


def test_replacing_a_file_gives_the_old_or_the_new_at_every_effect(tmp_path):
    write_json(tmp_path / "file", {"version": "old"})
    effects = lose_power_after(tmp_path, lambda: write_json(tmp_path / "file", {"version": "new"}))
    assert effects >= 4
    seen = set()
    for k in range(1, effects + 1):
        write_json(tmp_path / "file", {"version": "old"})
        lose_power_after(tmp_path, lambda: write_json(tmp_path / "file", {"version": "new"}), k)
        seen.add(read_json(tmp_path / "file")["version"])
    assert seen == {"old"}  # the last effect is what makes it new


def test_a_claim_is_there_once_it_is_won(tmp_path):
    lose_power_after(tmp_path, lambda: claim_folder(tmp_path / "0001", "claim.json", {"who": 1}))
    assert read_json(tmp_path / "0001" / "claim.json") == {"who": 1}


def test_a_published_folder_is_there_whole(tmp_path):
    def publish():
        make_folder(tmp_path / "aside" / "inner")
        for name in ("one", "inner/two"):
            plain_file(tmp_path / "aside" / name, b"content")
        publish_folder(tmp_path / "aside", tmp_path / "published")

    lose_power_after(tmp_path, publish)
    assert [(tmp_path / "published" / name).read_bytes() for name in ("one", "inner/two")] == [
        b"content"
    ] * 2


def test_a_made_folder_is_there_with_its_parents(tmp_path):
    lose_power_after(tmp_path, lambda: make_folder(tmp_path / "a" / "b" / "c"))
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_a_durable_record_is_there_and_so_are_those_before_it(tmp_path):
    def append():
        log = RecordLog(tmp_path / "log")
        for i in range(3):
            log.append({"i": i}, durable=i == 2)
        log.append({"i": 3})

    lose_power_after(tmp_path, append)
    assert [record["i"] for record in RecordReader(tmp_path / "log")] == [0, 1, 2]


def test_a_closed_log_is_there_whole(tmp_path):
    def append():
        with RecordLog(tmp_path / "log") as log:
            log.append({"i": 0})

    lose_power_after(tmp_path, append)
    assert [record["i"] for record in RecordReader(tmp_path / "log")] == [0]


def test_a_saved_checkpoint_is_there_and_an_older_one_goes_only_then(tmp_path):
    checkpoints = Checkpoints(tmp_path, "0001")

    def save_four():
        for step in range(1, 5):
            checkpoints.save(step, {"step": step}, {})

    effects = lose_power_after(tmp_path, save_four)
    assert checkpoints.latest().step == 4
    checkpoints.save(4, {"step": 4}, {})
    for k in range(1, effects // 4, 3):
        lose_power_after(tmp_path, lambda: checkpoints.save(5, {"step": 5}, {}), k)
        assert checkpoints.latest().step in (4, 5)


def test_a_result_that_was_reported_is_there_with_its_last_word(tmp_path, spec_file):
    root = Root(tmp_path / "root")
    root.create()
    spec = spec_file(("epochs: 2,", "epochs: 1,"))
    write_plan(
        make_plan(load_sweep(spec), root, Selection(seeds=[0], only=["byol"]), Queue()), root
    )
    (run,) = root.runs()
    write_json(run.description, {**run.read_description(), "protocols": ["knn"]})
    job = AttemptContext("inline", capture=False, device="cpu", threads=1)
    lose_power_after(root.path, lambda: run_attempt(root.path, run.run_id, job, lambda: None))
    (attempt,) = run.attempts()
    assert read_json(attempt.done)["outcome"] == "ok" and last_word(attempt)["state"] == "COMPLETED"
    assert [one["protocol"] for one in run.evaluations()] == ["knn"]


@pytest.mark.parametrize("kind", ["start", "checkpoint", "end"])
def test_starts_checkpoints_and_ends_are_on_the_disk_at_once(tmp_path, spec_file, kind):
    """The power goes as soon as the record is written; what a resume and a requeue lean on must be
    there.
    """
    root = Root(tmp_path / "root")
    root.create()
    write_plan(
        make_plan(load_sweep(spec_file()), root, Selection(seeds=[0], only=["byol"]), Queue()), root
    )
    (run,) = root.runs()
    append = RecordLog.append
    disks = []

    def watched(self, record, durable=False):
        append(self, record, durable)
        if record["type"] == kind:
            disks[0].lose_power()
            os._exit(DEAD)

    def attempt():
        RecordLog.append = watched
        disks.append(disk_of_this_process())
        run_attempt(root.path, run.run_id, JOB, lambda: None)

    lose_power_after(root.path, attempt)
    assert kind in [record["type"] for record in RecordReader(run.attempt(1).events)]


def test_the_series_before_a_checkpoint_is_on_the_disk_when_the_checkpoint_is(tmp_path, spec_file):
    """The power goes when the first checkpoint is there and its record is not: the next attempt
    starts behind those points. An earlier record would have brought them to the disk.
    """
    root = Root(tmp_path / "root")
    root.create()
    write_plan(
        make_plan(load_sweep(spec_file()), root, Selection(seeds=[0], only=["byol"]), Queue()), root
    )
    (run,) = root.runs()
    save, start = Checkpoints.save, BackgroundSaves.start

    def watched(self, step, *rest):
        save(self, step, *rest)
        disk_of_this_process().lose_power()
        os._exit(DEAD)

    def not_before_the_third_step(self, step, state):
        if step >= 2:
            start(self, step, state)

    def attempt():
        Checkpoints.save, BackgroundSaves.start = watched, not_before_the_third_step
        run_attempt(root.path, run.run_id, JOB, lambda: None)

    lose_power_after(root.path, attempt)
    saved = Checkpoints(run.path / "checkpoints", "0002").latest().step
    recorded = [
        record["step"]
        for record in RecordReader(run.attempt(1).events)
        if record["type"] == "metrics"
    ]
    assert saved >= 2 and recorded == list(range(saved))


def disk_of_this_process():
    """Return the disk that is installed here: what stands in for os.open belongs to it."""
    (disk,) = [
        cell.cell_contents for cell in os.open.__closure__ if isinstance(cell.cell_contents, Disk)
    ]
    return disk
