"""What is tried again, by whom and how often: rules, jobs that come back, following a sweep,
stopping a broken one.
"""

import json
import os
import signal
import sqlite3
import threading
import time
from dataclasses import asdict, replace

import pytest

from byol_core.files import RecordLog, RecordReader, claim_folder, write_json
from byol_core.train.checkpoint import Checkpoints
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.errors import BrokenSweepError, UsageError
from orchestrator.executors.interrupts import Interrupts
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch import wait as following
from orchestrator.launch.launch import Reporter, launch
from orchestrator.launch.options import LaunchOptions
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.machine.processes import this_process
from orchestrator.slurm import requeue
from orchestrator.slurm.distributed import rendezvous
from orchestrator.slurm.nodes import without
from orchestrator.slurm.queue import look_at_queue
from orchestrator.slurm.submit import _lead_s
from orchestrator.spec import load_sweep
from orchestrator.store.jobs import Queue
from orchestrator.store.retry import RULES, held_back, idle_attempts
from orchestrator.store.standing import standing
from orchestrator.store.state import State

SILENT = Reporter(lambda *_: None, lambda _: None, lambda _: None)


def attempt(run, *records, job_id=None, executor="local", asked=None):
    """Leave what a worker leaves, and as a worker does it: the folder appears with its claim, since
    others look on.
    """
    made = run.attempt(len(run.attempts()) + 1)
    claim = {
        "process": asdict(this_process()),
        "job": asdict(AttemptContext(executor, job_id, asked=asked)),
        "claimed_at": time.time(),
    }
    assert claim_folder(made.path, made.claim.name, claim)
    with RecordLog(made.events) as log:
        for record in records:
            log.append({"t": time.time(), **record})
    return made


def start(step):
    return {"type": "start", "step": step, "total_steps": 100, "exact": True, "origin": {}}


def checkpoint(step):
    return {"type": "checkpoint", "step": step}


def end(state, reason="x"):
    return {"type": "end", "state": state, "reason": reason}


# Rules


def seen_lost(attempt_folder):
    """Leave what a launcher leaves that lived on."""
    write_json(attempt_folder.lost, {"exit_status": -11, "seen_at": time.time()})


def test_attempts_that_got_nowhere_are_counted_back_from_the_last(run):
    lost = State.LOST
    assert idle_attempts(run, lost) == 0
    seen_lost(attempt(run, start(0), checkpoint(10)))
    assert idle_attempts(run, lost) == 0
    seen_lost(attempt(run, start(10), checkpoint(10)))
    seen_lost(attempt(run))
    assert idle_attempts(run, lost) == 2
    seen_lost(attempt(run, start(10), checkpoint(11)))
    assert idle_attempts(run, lost) == 0


@pytest.mark.parametrize(
    ("state", "tries"),
    [
        ("LOST", 3),
        ("PREEMPTED", 3),
        ("TIMEOUT", 1),
        ("OOM", 0),
        ("FAILED", 0),
        ("CANCELLED", 0),
        ("STOPPED", 99),
    ],
)
def test_each_class_is_tried_again_so_often_without_progress(run, state, tries):
    for done in range(5):
        assert (held_back(run, State(state)) is None) == (
            done < tries or (done == 0 and tries > 0)
        ), done
        if state == "LOST":
            seen_lost(attempt(run, start(7), checkpoint(7)))
        else:
            attempt(run, start(7), checkpoint(7), end(state))


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_a_loss_together_with_the_launcher_is_no_sign_against_the_run(run, executor):
    for _ in range(9):
        attempt(run, start(0), executor=executor)
    assert idle_attempts(run, State.LOST) == 0 and held_back(run, State.LOST) is None


def test_what_people_or_other_errors_ended_does_not_count_as_lost(run):
    seen_lost(attempt(run, start(0)))
    for state in ("STOPPED", "FAILED", "PREEMPTED", "STOPPED", "COMPLETED"):
        attempt(run, start(0), end(state))
    assert idle_attempts(run, State.LOST) == 1 and idle_attempts(run, State.PREEMPTED) == 1


def test_in_jobs_each_attempt_without_a_last_word_counts(run):
    for job_id in ("7", "8", "9"):
        assert held_back(run, State.LOST) is None
        attempt(run, start(0), job_id=job_id, executor="slurm")
    assert held_back(run, State.LOST) == "lost three times before it left a checkpoint"


@pytest.mark.parametrize(("had_min", "again"), [(1, True), (4, True), (6, False), (10, False)])
def test_a_time_limit_is_too_short_only_for_a_run_that_had_half_of_it(run, had_min, again):
    """In a job of several runs the last may begin a minute before its end; forgiven once."""
    late = {**end("TIMEOUT"), "t": time.time() + had_min * 60}
    attempt(run, start(0), late, executor="slurm", asked={"timeout_min": 10})
    assert (held_back(run, State.TIMEOUT) is None) == again
    attempt(run, start(0), late, executor="slurm", asked={"timeout_min": 10})
    assert held_back(run, State.TIMEOUT) is not None


def test_whoever_makes_progress_is_tried_again_for_ever(run):
    for step in range(0, 100, 10):
        attempt(run, start(step), checkpoint(step + 10))
        assert all(held_back(run, state) is None for state, rule in RULES.items() if rule.idle)


def test_a_plan_starts_what_the_rules_allow_and_what_is_asked_for(root, run, spec_file):
    attempt(run, start(5), end("TIMEOUT"))
    plan = make_plan(load_sweep(spec_file()), root, Selection(), Queue())
    assert [one.run_id for one in plan.held_back] == [run.run_id] and len(plan.start) == 3
    asked = make_plan(
        load_sweep(spec_file()), root, Selection(retry=frozenset({State.TIMEOUT})), Queue()
    )
    assert asked.held_back == [] and len(asked.start) == 4


def test_a_failed_node_is_avoided_unless_it_is_the_only_one(fake_slurm):
    assert without({"fake7"}) == ["fake7"] and without(set()) == []
    assert without({"fake1"}) == []  # the fake has this one alone
    fake_slurm.fail("sinfo", stderr="Unable to contact slurm controller")
    assert without({"fake7"}) == []


@pytest.mark.slow
def test_nextflow_3422_a_lost_run_is_sent_away_from_the_node_that_failed(
    root, spec_file, fake_slurm
):
    options = LaunchOptions(load_sweep(spec_file()), Selection(), "slurm")
    first = launch(options, root, SILENT).sent.job_ids
    fake_slurm.start(*first, node="node7")
    fake_slurm.end(*first, state="NODE_FAIL")
    again = launch(options, root, SILENT).sent.job_ids
    assert len(again) == 4 and fake_slurm.jobs()[again[0]]["asked"]["exclude"] == "node7"


# Jobs that come back


@pytest.fixture
def in_job(run, fake_slurm, monkeypatch):
    """This process in a running job of an array, which makes an attempt at `run`."""
    from orchestrator.slurm.commands import ask

    array = ask("sbatch", "--parsable", "--array=0-2", "--wrap", "true").strip()
    for name, value in (
        ("SLURM_ARRAY_JOB_ID", array),
        ("SLURM_ARRAY_TASK_ID", "1"),
        ("SLURM_JOB_ID", array),
    ):
        monkeypatch.setenv(name, value)
    fake_slurm.start(f"{array}_0", f"{array}_1")
    monkeypatch.setattr(requeue, "_PAUSE_S", 0.01)
    return f"{array}_1"


def answer(run):
    (record,) = [
        record for record in RecordReader(run.attempts()[-1].events) if record["type"] == "requeue"
    ]
    return record["done"], record["answer"]


def test_a_stopped_run_puts_its_own_task_back_and_no_other(run, in_job, fake_slurm):
    attempt(run, start(0), checkpoint(9), end("PREEMPTED"))
    requeue.come_back([run])
    assert answer(run) == (True, "queued again") and set(fake_slurm.jobs("RUNNING")) == {
        in_job.replace("_1", "_0")
    }
    assert fake_slurm.calls("scontrol")[-1] == ["requeue", in_job]


def test_a_job_that_is_pending_already_has_what_it_wants(run, in_job, fake_slurm):
    attempt(run, start(0), checkpoint(9), end("PREEMPTED"))
    fake_slurm.fail("scontrol", stderr="Job is pending execution for job 14")
    requeue.come_back([run])
    assert answer(run)[0] is True


@pytest.mark.parametrize("word", ["COMPLETING", "PENDING"])
def test_what_slurm_has_taken_back_is_left_to_it(run, in_job, fake_slurm, word):
    """COMPLETING is what squeue says after scancel, too: a requeue would undo it."""
    attempt(run, start(0), checkpoint(9), end("PREEMPTED"))
    fake_slurm.change(in_job, state=word)
    requeue.come_back([run])
    assert answer(run) == (False, f"left to SLURM, which says {word.lower()}")
    assert not [call for call in fake_slurm.calls("scontrol") if "requeue" in call]


def test_a_refusal_is_recorded_and_leaves_the_run_to_the_next_launch(run, in_job, fake_slurm):
    attempt(run, start(0), checkpoint(9), end("PREEMPTED"))
    fake_slurm.fail("scontrol", stderr="Requested operation is presently disabled for job 14")
    requeue.come_back([run])
    done, said = answer(run)
    assert done is False and "presently disabled" in said


def test_a_scheduler_that_does_not_answer_is_asked_three_times_and_nothing_is_requeued_blindly(
    run, in_job, fake_slurm
):
    attempt(run, start(0), checkpoint(9), end("PREEMPTED"))
    asked = len(fake_slurm.calls("squeue"))
    fake_slurm.fail("squeue", stderr="Socket timed out on send/recv operation", times=3)
    requeue.come_back([run])
    assert (
        answer(run) == (False, "SLURM does not answer")
        and len(fake_slurm.calls("squeue")) == asked + 3
    )


def test_a_time_limit_without_progress_ends_the_cycle(run, in_job, fake_slurm):
    attempt(run, start(4), checkpoint(4), end("TIMEOUT"))
    requeue.come_back([run])
    assert in_job in fake_slurm.jobs("RUNNING") and held_back(run, State.TIMEOUT) is not None


@pytest.mark.parametrize("state", ["FAILED", "OOM", "CANCELLED"])
def test_what_would_fail_again_does_not_come_back(run, in_job, fake_slurm, state):
    attempt(run, start(0), checkpoint(9), end(state))
    requeue.come_back([run])
    assert in_job in fake_slurm.jobs("RUNNING")


def test_a_job_of_several_runs_comes_back_for_those_that_were_not_begun(root, in_job, fake_slurm):
    one, other, cancelled, _ = root.runs()
    write_json(attempt(one, start(0)).done, {"outcome": "ok"})
    write_json(cancelled.cancelled, {})
    requeue.come_back([one, cancelled])
    assert in_job in fake_slurm.jobs("RUNNING")
    requeue.come_back([one, other])
    assert in_job in fake_slurm.jobs("PENDING")


@pytest.mark.parametrize(
    ("left", "state"),
    [
        ("9:50", "PREEMPTED"),
        ("1-00:00:00", "PREEMPTED"),
        ("UNLIMITED", "PREEMPTED"),
        ("2:59", "TIMEOUT"),
        ("0:05", "TIMEOUT"),
    ],
)
def test_submitit_1708_a_stop_near_the_time_limit_is_its_doing(in_job, fake_slurm, left, state):
    """submitit counts every preemption of a job of less than ten minutes as a timeout; the time
    left tells.
    """
    fake_slurm.change(in_job, left=left)
    assert requeue.stopped_as() == state


@pytest.mark.parametrize(("minutes", "lead_s"), [(1, 20), (3, 60), (4, 80), (5, 90), (240, 90)])
def test_a_short_job_is_warned_a_third_before_its_end_at_most(minutes, lead_s):
    assert _lead_s(minutes) == lead_s


def test_submitit_1617_repeated_signals_during_a_checkpoint_are_harmless(root, run, monkeypatch):
    save = Checkpoints.save

    def stormy(*arguments, **kwargs):
        for _ in range(50):
            os.kill(os.getpid(), signal.SIGUSR2)
            os.kill(os.getpid(), signal.SIGTERM)
        return save(*arguments, **kwargs)

    monkeypatch.setattr(Checkpoints, "save", stormy)
    job = AttemptContext("local", capture=False, device="cpu", threads=1)
    with Interrupts(signal.SIGUSR2, signal.SIGTERM) as interrupts:
        os.kill(os.getpid(), signal.SIGUSR2)
        assert run_attempt(root.path, run.run_id, job, interrupts.reason) == State.STOPPED
    monkeypatch.undo()
    assert run_attempt(root.path, run.run_id, job, lambda: None) == State.COMPLETED


def test_the_tasks_of_a_job_find_each_other(fake_slurm, monkeypatch):
    assert rendezvous() == {}
    for name, value in (
        ("NTASKS", "4"),
        ("JOB_NODELIST", "node3,node4"),
        ("JOB_ID", "123456"),
        ("PROCID", "3"),
        ("LOCALID", "1"),
    ):
        monkeypatch.setenv(f"SLURM_{name}", value)
    found = rendezvous()
    assert found == {
        "MASTER_ADDR": "node3",
        "MASTER_PORT": "23456",
        "RANK": "3",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
    }


# Following a sweep


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(following, "_SHORTEST_S", 0.05)
    monkeypatch.setattr(following, "_LONGEST_S", 0.1)
    monkeypatch.setattr(following, "_NAP_S", 0.02)


class Workers(threading.Thread):
    """Ends every job that is released, as `outcome` says: a function of the run and the fake's job
    id.
    """

    def __init__(self, root, fake, outcome):
        super().__init__(daemon=True)
        self.root, self.fake, self.outcome, self.over = root, fake, outcome, threading.Event()

    def run(self):
        while not self.over.wait(0.1):
            for run_id, facts in look_at_queue(self.root).live.items():
                if self.fake.jobs().get(facts.job_id, {}).get("held") is False:
                    self.outcome(self.root.run(run_id), facts.job_id)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def follow(root, file, notes=None, **selection):
    reporter = replace(SILENT, note=(notes if notes is not None else []).append)
    return launch(
        LaunchOptions(load_sweep(file), Selection(**selection), "slurm", wait=True), root, reporter
    )


@pytest.mark.slow
def test_waiting_sends_what_limits_refused_and_ends_with_the_sweep(
    root, spec_file, fake_slurm, quick
):
    fake_slurm.set(assoc={"MaxSubmitJobs": 2})

    def complete(run, job_id):
        write_json(attempt(run, job_id=job_id, executor="slurm").done, {"outcome": "ok"})
        fake_slurm.end(job_id)

    with Workers(root, fake_slurm, complete):
        done = follow(root, spec_file())
    assert (
        done.waited
        and done.sent.run_count == 4
        and done.sent.refusal is None
        and done.stopped is None
    )
    assert len(fake_slurm.jobs()) == 4 and all(
        run.attempts()[-1].done.exists() for run in root.runs()
    )


@pytest.mark.slow
def test_waiting_gives_up_a_run_that_is_lost_again_and_again_before_it_begins(
    root, spec_file, fake_slurm, quick
):
    def lose(_, job_id):
        fake_slurm.end(job_id, state="NODE_FAIL", node="fake1")

    with Workers(root, fake_slurm, lose):
        done = follow(root, spec_file(), only=["byol"], seeds=[0])
    assert done.sent.run_count == 4  # once, and three times more


def test_wandb_1655_a_sweep_whose_first_runs_fail_before_they_train_is_stopped(
    root, spec_file, fake_slurm, quick
):
    file = spec_file(("seeds: [0, 1]", "seeds: [0, 1, 2, 3]"))

    def fail(run, job_id):
        if len(fake_slurm.jobs("COMPLETED")) < 3:
            attempt(run, end("FAILED", "ImportError: no module"), job_id=job_id, executor="slurm")
            fake_slurm.end(job_id)

    with Workers(root, fake_slurm, fail):
        done = follow(root, file)
    assert (
        "the first 3 runs failed before their first step" in done.stopped
        and "ImportError" in done.stopped
    )
    assert len(fake_slurm.jobs("CANCELLED")) == 5


def test_a_launch_starts_nothing_of_a_broken_sweep_unless_asked(root, spec_file, fake_slurm):
    for run in root.runs()[:3]:
        attempt(run, end("FAILED", "ImportError: no module"))
    options = LaunchOptions(load_sweep(spec_file()), Selection(), "slurm")
    with pytest.raises(BrokenSweepError, match="--retry failed,cancelled"):
        launch(options, root, SILENT)
    assert fake_slurm.jobs() == {}
    asked = replace(options, selection=Selection(retry=frozenset({State.FAILED})))
    assert launch(asked, root, SILENT).sent.run_count == 4


def test_one_run_that_trained_makes_a_sweep_sound(root, spec_file, fake_slurm):
    for run in root.runs()[:3]:
        attempt(run, end("FAILED"))
    attempt(root.runs()[0], start(0), checkpoint(3), end("FAILED"))
    assert (
        launch(
            LaunchOptions(load_sweep(spec_file()), Selection(), "slurm"), root, SILENT
        ).sent.run_count
        == 1
    )


def test_on_this_machine_a_broken_sweep_is_stopped_too(root, spec_file, monkeypatch):
    def explode(*_, **__):
        raise ImportError("no module")

    monkeypatch.setattr("byol_core.train.train", explode)
    done = launch(LaunchOptions(load_sweep(spec_file()), Selection(), "inline"), root, SILENT)
    assert "no module" in done.stopped and done.interrupted is None
    assert [len(run.attempts()) for run in root.runs()].count(0) == 1


def test_an_error_that_names_a_file_which_is_no_text_still_ends_its_run(
    root, run, monkeypatch, tmp_path
):
    def read_photo(*_, **__):
        raise OSError(22, "Invalid argument", os.fsdecode(b"caf\xe9.png"))

    monkeypatch.setattr("byol_core.train.train", read_photo)
    assert (
        run_attempt(root.path, run.run_id, AttemptContext("inline", capture=False), lambda: None)
        == State.FAILED
    )
    collect(root, open_database(str(tmp_path / "results.db")), Queue())
    with sqlite3.connect(tmp_path / "results.db") as connection:
        [(state, reason)] = connection.execute("SELECT state, reason FROM runs WHERE attempt = 1")
    assert state == "FAILED" and "caf\\udce9.png" in reason


@pytest.mark.parametrize(("age_s", "state"), [(5.0, State.RUNNING), (600.0, State.LOST)])
def test_a_result_that_is_not_there_is_late_and_then_lost(root, run, spec_file, age_s, state):
    attempt(run, start(0), {**end("COMPLETED", "ok"), "t": time.time() - age_s})
    assert standing(run, Queue()).state == state
    plan = make_plan(load_sweep(spec_file()), root, Selection(), Queue())
    assert (run.run_id in {one.run_id for one in plan.start}) is (state == State.LOST)


def test_a_description_that_was_lost_is_written_again_and_its_result_counts(
    root, run, spec_file, tmp_path
):
    write_json(attempt(run, start(0), end("COMPLETED")).done, {"outcome": "ok", "step": 4})
    description = run.description.read_bytes()
    run.description.unlink()
    plan = make_plan(load_sweep(spec_file()), root, Selection(), Queue())
    assert len(plan.reuse) == 1
    write_plan(plan, root)
    assert json.loads(run.description.read_bytes())["config"] == json.loads(description)["config"]
    collect(root, open_database(str(tmp_path / "results.db")), Queue())
    with sqlite3.connect(tmp_path / "results.db") as connection:
        assert connection.execute(
            "SELECT count(*) FROM runs WHERE state = 'COMPLETED'"
        ).fetchone() == (1,)


def test_options_that_make_no_sense_together_are_refused(root, spec_file, fake_slurm):
    options = LaunchOptions(load_sweep(spec_file()), Selection(), "slurm", wait=True, rerun=True)
    with pytest.raises(UsageError, match="--wait does not go with --rerun"):
        launch(options, root, SILENT)
    with pytest.raises(UsageError, match="--no-wait: local runs end with their launcher"):
        launch(replace(options, executor="local", wait=False), root, SILENT)


def test_silence_sends_nothing_and_ends_nothing(root, spec_file, fake_slurm, quick):
    """While squeue fails, the loop goes on waiting: neither a second submission nor an early end."""
    launch(LaunchOptions(load_sweep(spec_file()), Selection(), "slurm"), root, SILENT)
    fake_slurm.fail("squeue", stderr="Socket timed out", times=5)
    looks = []

    def complete_after_the_silence(run, job_id):
        looks.append(len(fake_slurm.calls("squeue")))
        write_json(attempt(run, job_id=job_id, executor="slurm").done, {"outcome": "ok"})
        fake_slurm.end(job_id)

    with Workers(root, fake_slurm, complete_after_the_silence):
        done = follow(root, spec_file())
    assert done.sent.run_count == 0 and min(looks) >= 5 and len(fake_slurm.jobs()) == 4
