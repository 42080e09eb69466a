"""States from what the scripted SLURM says, or does not say; each thread of other projects by its
name.
"""

import time
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from byol_core.files import RecordLog, write_json
from orchestrator.executors.worker import AttemptContext
from orchestrator.launch.launch import Reporter, launch
from orchestrator.launch.options import LaunchOptions
from orchestrator.launch.selection import Selection
from orchestrator.machine.processes import this_process
from orchestrator.slurm import queue
from orchestrator.slurm.commands import ask
from orchestrator.slurm.queue import look_at_queue
from orchestrator.spec import load_sweep
from orchestrator.store.jobs import ENDED
from orchestrator.store.root import Root
from orchestrator.store.standing import standing
from orchestrator.store.state import State

SILENT = Reporter(lambda *_: None, lambda _: None, lambda _: None)


@pytest.fixture
def clock(monkeypatch):
    """The time that looks go by; `clock.passes(seconds)`."""
    clock = SimpleNamespace(ahead_s=0.0)
    clock.time = lambda: time.time() + clock.ahead_s
    clock.passes = lambda seconds: setattr(clock, "ahead_s", clock.ahead_s + seconds)
    monkeypatch.setattr(queue, "time", clock)
    return clock


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "sweep-runs")


@pytest.fixture
def go(root, fake_slurm, spec_file):
    """Launch a sweep of four runs on the fake; return what was started."""

    def start(**asked):
        return launch(
            LaunchOptions(load_sweep(spec_file()), Selection(**asked), "slurm"), root, SILENT
        ).sent.job_ids

    return start


def look(root):
    """Return run id → standing, as any command sees it now."""
    queue = look_at_queue(root)
    return {run.run_id: standing(run, queue) for run in root.runs()}


def states(root):
    return sorted(where.state for where in look(root).values())


def run_of(root, job_id):
    """Return the run of a job of the only launch."""
    queue = look_at_queue(root)
    known = {**queue.live, **queue.ended, **queue.unknown}
    return root.run(next(run_id for run_id, facts in known.items() if facts.job_id == job_id))


def attempt(run, job_id, *records, number=1, executor="slurm", host="node17", clock_ahead_s=0.0):
    """Leave what a worker leaves: its claim, and events."""
    made = run.attempt(number)
    made.path.mkdir(parents=True)
    process = {**asdict(this_process()), "host": host}
    write_json(
        made.claim,
        {
            "process": process,
            "job": asdict(AttemptContext(executor, job_id)),
            "claimed_at": time.time() + clock_ahead_s,
        },
    )
    with RecordLog(made.events) as log:
        for record in records:
            log.append({"t": time.time(), **record})
    return made


def end(state, reason="interrupted by SIGUSR2"):
    return {"type": "end", "state": state, "reason": reason}


# Lost jobs, sacct, wrong states


def test_seml_90_and_18_a_failing_squeue_changes_nothing(root, go, fake_slurm):
    first = go()[0]
    fake_slurm.start(first)
    attempt(run_of(root, first), first)
    before = states(root)
    assert before == ["RUNNING", "SUBMITTED", "SUBMITTED", "SUBMITTED"]
    for failure in (
        {"stderr": "logname: no login name"},
        {"exit": 0, "accepted": True, "truncate": 0},
        {"exit": 0, "accepted": True, "truncate": 7},
    ):
        fake_slurm.fail("squeue", **failure)
        assert states(root) == before
    assert go() == []  # nothing goes out twice


def test_seml_20_a_state_that_nobody_has_heard_of_is_a_job_that_is_there(root, go, fake_slurm):
    first, second, *_ = go()
    attempt(run_of(root, first), first)
    fake_slurm.start(first, second)
    for word in ("CONFIGURING", "SUSPENDED", "RESIZING", "STAGE_OUT", "FROZEN_BY_A_LATER_RELEASE"):
        fake_slurm.change(first, second, state=word)
        assert states(root) == ["RUNNING", "SUBMITTED", "SUBMITTED", "SUBMITTED"], word


@pytest.mark.parametrize("accounting", ["none", "down"])
def test_submitit_1720_and_snakemake_38_without_accounting_a_job_is_gone_when_two_looks_missed_it(
    root, go, fake_slurm, clock, accounting
):
    job_ids = go()
    fake_slurm.set(accounting=accounting)
    fake_slurm.end(*job_ids, state="NODE_FAIL")
    fake_slurm.forget(*job_ids)
    assert states(root) == ["SUBMITTED"] * 4
    clock.passes(5)
    assert states(root) == ["SUBMITTED"] * 4
    clock.passes(15)
    assert states(root) == ["LOST"] * 4


def test_snakemake_207_and_331_a_database_that_hangs_costs_one_wait_a_minute(
    root, go, fake_slurm, clock, monkeypatch
):
    monkeypatch.setattr("orchestrator.slurm.listing._TIMEOUT_S", 2)
    job_ids = go()
    fake_slurm.end(*job_ids)
    fake_slurm.forget(*job_ids)
    fake_slurm.fail("sacct", delay_s=5, times=9)
    started_s = time.monotonic()
    for _ in range(5):
        assert states(root) == ["SUBMITTED"] * 4
    assert time.monotonic() - started_s < 8 and len(fake_slurm.calls("sacct")) == 1
    clock.passes(61)
    look(root)
    assert len(fake_slurm.calls("sacct")) == 2


def test_one_squeue_and_at_most_one_sacct_a_look(root, go, fake_slurm):
    job_ids = go()
    calls = [len(fake_slurm.calls(name)) for name in ("squeue", "sacct", "scontrol")]
    look(root)
    assert [len(fake_slurm.calls(name)) for name in ("squeue", "sacct", "scontrol")] == [
        calls[0] + 1,
        calls[1],
        calls[2],
    ]
    fake_slurm.end(*job_ids, state="TIMEOUT")
    fake_slurm.forget(*job_ids)
    assert states(root) == ["TIMEOUT"] * 4 and states(root) == ["TIMEOUT"] * 4
    assert len(fake_slurm.calls("sacct")) == calls[1] + 1  # what it said is remembered


def test_submitit_1660_and_blackfish_484_an_id_that_was_used_before(root, go, fake_slurm):
    """Accounting has a record of another user's job with our id, years old."""
    job_ids = go()
    for job_id in job_ids:
        fake_slurm.old_record(
            jobid=job_id, jobname="theirs", state="FAILED", submit="1500000000", exitcode="1:0"
        )
    fake_slurm.forget(*job_ids)
    assert states(root) == ["SUBMITTED"] * 4


def test_a_job_of_our_name_and_id_is_ours_whatever_two_clocks_say(root, go, fake_slurm):
    job_ids = go()
    name = fake_slurm.jobs()[job_ids[0]]["name"]
    fake_slurm.old_record(
        jobid=job_ids[0],
        jobname=name,
        state="FAILED",
        submit=str(int(time.time()) - 80000),
        exitcode="1:0",
    )
    fake_slurm.change(job_ids[0], name="renamed")
    fake_slurm.forget(job_ids[0])
    assert sorted(states(root)) == ["FAILED"] + ["SUBMITTED"] * 3


def test_snakemake_1227_accounting_is_asked_from_the_submission_on_not_from_midnight(
    root, go, fake_slurm
):
    job_ids = go()
    fake_slurm.end(*job_ids, state="TIMEOUT")
    fake_slurm.forget(*job_ids)
    look(root)
    since = next(
        word.partition("=")[2]
        for word in fake_slurm.calls("sacct")[-1]
        if word.startswith("--starttime=")
    )
    assert time.mktime(time.strptime(since, "%Y-%m-%dT%H:%M:%S")) <= time.time() - 599


@pytest.mark.parametrize(
    ("word", "state"),
    [(word, state) for word, state in ENDED.items() if word not in ("", "COMPLETED")],
)
def test_nextflow_3422_and_5276_how_a_job_ended_is_told_with_its_node(
    root, go, fake_slurm, word, state
):
    job_ids = go()
    fake_slurm.start(*job_ids, node="node7")
    fake_slurm.end(*job_ids, state=word, exit="0:9")
    found = look(root)
    assert {where.state for where in found.values()} == {state}
    assert all("node7" in where.reason for where in found.values())
    assert {where.failed_node for where in found.values()} == {
        "node7" if word in ("NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED") else ""
    }


WARNED = {
    "12:0": "PREEMPTED",
    "15:0": "PREEMPTED",
    "0:12": "PREEMPTED",
    "140:0": "PREEMPTED",
    "0:15": "PREEMPTED",
    "143:0": "PREEMPTED",
    "1:0": "FAILED",
    "0:9": "FAILED",
}


@pytest.mark.parametrize("code", WARNED)
@pytest.mark.parametrize("claimed", [False, True])
def test_a_job_that_died_of_the_warning_itself_was_preempted(root, go, fake_slurm, code, claimed):
    """In its first moments Python cannot listen yet, and dies of SIGUSR2 or SIGTERM; squeue alone
    does not tell the code.
    """
    job_id = go()[0]
    run = run_of(root, job_id)
    fake_slurm.start(job_id)
    if claimed:
        attempt(run, job_id)
    fake_slurm.end(job_id, state="FAILED", exit=code)
    assert look(root)[run.run_id].state == WARNED[code]
    asked = len(fake_slurm.calls("sacct"))
    assert (
        look(root)[run.run_id].state == WARNED[code] and len(fake_slurm.calls("sacct")) == asked
    )  # it is known now
    fake_slurm.set(accounting="none")
    fake_slurm.forget(job_id)
    assert look(root)[run.run_id].state == WARNED[code]


def test_nextflow_1644_an_empty_answer_does_not_end_a_running_job(root, go, fake_slurm, clock):
    fake_slurm.set(accounting="none")
    job_ids = go()
    fake_slurm.start(*job_ids)
    fake_slurm.fail("squeue", exit=0, accepted=True, truncate=0)
    look(root)
    clock.passes(300)
    assert states(root) == ["SUBMITTED"] * 4  # listed again: it was never away
    fake_slurm.fail("squeue", exit=0, accepted=True, truncate=0)
    assert states(root) == ["SUBMITTED"] * 4  # and the count starts anew


def test_nextflow_1151_a_users_own_filters_hide_nothing(monkeypatch):
    """squeue and sacct take options from variables, and a job in another partition would be gone."""
    for name in ("SQUEUE_PARTITION", "SQUEUE_FORMAT", "SQUEUE_STATES", "SACCT_FORMAT"):
        monkeypatch.setenv(name, "high")
    seen = ask("env").splitlines()
    assert (
        not [line for line in seen if line.startswith(("SQUEUE_", "SACCT_"))] and "LC_ALL=C" in seen
    )


def test_cluster_utils_87_and_submitit_1641_completed_without_a_result_is_a_failure(
    root, go, fake_slurm, clock
):
    """Believed a little later: on a shared file system the result may be slow to come into sight."""
    job_ids = go()
    fake_slurm.start(*job_ids)
    fake_slurm.end(*job_ids)
    assert states(root) == ["SUBMITTED"] * 4
    clock.passes(20)
    assert states(root) == ["FAILED"] * 4


def test_model_optimizer_1900_a_result_outlives_what_slurm_remembers(root, go, fake_slurm):
    job_ids = go()
    run = run_of(root, job_ids[0])
    write_json(attempt(run, job_ids[0]).done, {"outcome": "ok"})
    fake_slurm.end(*job_ids, state="FAILED")
    fake_slurm.forget(*job_ids)
    assert look(root)[run.run_id].state == State.COMPLETED


def test_experimaestro_93_a_killed_job_is_not_running_and_a_queued_one_neither(
    root, go, fake_slurm
):
    first, second, *_ = go()
    attempt(run_of(root, first), first)
    fake_slurm.start(first)
    fake_slurm.end(first, state="FAILED", exit="0:9")
    found = look(root)
    assert found[run_of(root, first).run_id].state == State.FAILED
    assert "without a word of its own" in found[run_of(root, first).run_id].reason
    assert found[run_of(root, second).run_id].state == State.SUBMITTED


def test_the_age_of_the_last_answer_is_known_to_a_later_command(root, go, fake_slurm, clock):
    go()
    answered_at = look_at_queue(root).answered_at
    clock.passes(240)
    fake_slurm.fail("squeue", stderr="Unable to contact slurm controller", times=2)
    assert look_at_queue(root).answered_at == answered_at
    (root.path / "slurm.json").write_text("{")
    assert look_at_queue(root).answered_at is None  # the memory is lost, and nothing else
    assert states(root) == ["SUBMITTED"] * 4


# Evidence: the worker's word, and jobs newer than it


@pytest.mark.parametrize("state", ["FAILED", "OOM", "CANCELLED"])
def test_a_last_word_outranks_a_job_that_is_still_there(root, go, fake_slurm, state):
    """As that of a job that has more runs to do."""
    first = go()[0]
    fake_slurm.start(first)
    run = run_of(root, first)
    attempt(run, first, end(state))
    assert look(root)[run.run_id].state == state


@pytest.mark.parametrize("state", ["PREEMPTED", "TIMEOUT"])
def test_a_run_that_was_stopped_comes_back_with_its_job_and_stays_stopped_without(
    root, go, fake_slurm, state
):
    first = go()[0]
    run = run_of(root, first)
    attempt(run, first, end(state))
    assert look(root)[run.run_id].state == State.SUBMITTED  # its job waits again
    fake_slurm.fail("squeue", stderr="Socket timed out")
    assert look(root)[run.run_id].state == State.SUBMITTED  # and may do so unseen
    fake_slurm.end(first, state="COMPLETED")
    fake_slurm.forget(first)
    assert look(root)[run.run_id].state == state


def test_scancel_of_a_job_that_waits_to_come_back_cancels_its_run(root, go, fake_slurm):
    first = go()[0]
    run = run_of(root, first)
    attempt(run, first, end("PREEMPTED"))
    fake_slurm.end(first, state="CANCELLED")
    assert look(root)[run.run_id].state == State.CANCELLED


def test_a_newer_job_that_failed_before_it_began_is_not_hidden_by_an_older_last_word(
    root, go, fake_slurm
):
    first = go()[0]
    run = run_of(root, first)
    attempt(run, "7_0", end("PREEMPTED"))
    fake_slurm.end(first, state="FAILED", exit="1:0")
    found = look(root)[run.run_id]
    assert found.state == State.FAILED and "before it began" in found.reason


@pytest.mark.parametrize("ahead_s", [-5000.0, 0.0, 5000.0])
def test_an_attempt_on_this_machine_outdates_an_older_job(root, go, fake_slurm, ahead_s):
    first = go()[0]
    run = run_of(root, first)
    fake_slurm.end(first, state="FAILED")
    attempt(run, None, end("STOPPED"), executor="local", clock_ahead_s=ahead_s)
    assert look(root)[run.run_id].state == State.STOPPED


@pytest.mark.parametrize("ahead_s", [-5000.0, 0.0, 5000.0])
def test_a_newer_job_outdates_an_attempt_on_this_machine(root, go, fake_slurm, ahead_s):
    job_ids = go()
    run = run_of(root, job_ids[0])
    fake_slurm.end(*job_ids, state="FAILED")
    attempt(run, None, end("FAILED"), executor="local", clock_ahead_s=ahead_s)
    assert len(go(retry=frozenset({State.FAILED}))) == 4
    assert states(root) == ["SUBMITTED"] * 4


def test_a_killed_run_of_a_job_with_several_is_lost_whatever_the_job_says(root, go, fake_slurm):
    first = go()[0]
    run = run_of(root, first)
    made = attempt(run, first)
    write_json(made.lost, {"exit_status": -9, "seen_at": time.time()})
    fake_slurm.end(first, state="OUT_OF_MEMORY", exit="0:125")
    assert look(root)[run.run_id].state == State.OOM
    fake_slurm.end(first, state="FAILED", exit="1:0")
    found = look(root)[run.run_id]
    assert found.state == State.LOST and "was killed" in found.reason


def test_a_held_job_is_still_submitted(root, go, fake_slurm):
    first = go()[0]
    for word, reason in (
        ("PENDING", "JobHeldAdmin"),
        ("REQUEUE_HOLD", "job requeued in held state"),
        ("SPECIAL_EXIT", "JobHeldUser"),
    ):
        fake_slurm.change(first, state=word, reason=reason)
        found = look(root)[run_of(root, first).run_id]
        assert found.state == State.SUBMITTED and word.lower() in found.reason


def test_sisyphus_169_what_is_not_known_is_not_submitted_again(root, go, fake_slurm):
    job_ids = go()
    fake_slurm.fail("squeue", stderr="Unable to contact slurm controller", times=3)
    assert go() == [] and len(fake_slurm.jobs()) == len(job_ids)
