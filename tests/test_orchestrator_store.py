"""Runs and their files: claims, the fence, states told from evidence, plans."""

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pytest

from byol_core.files import RecordLog, RecordReader, write_json
from orchestrator.errors import SpecError, UsageError
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.plan import make_plan
from orchestrator.launch.selection import Selection
from orchestrator.machine.processes import Process, is_alive, this_process
from orchestrator.spec import load_sweep
from orchestrator.store.jobs import JobFacts, Queue
from orchestrator.store.root import Root
from orchestrator.store.standing import standing
from orchestrator.store.state import State

INLINE = AttemptContext("inline", capture=False, device="cpu", threads=1, log_every=2)


def go_on():
    return None


def stop_after(n):
    left = iter(range(n))
    return lambda: None if next(left, None) is not None else "asked to"


def test_an_attempt_leaves_claim_events_result_encoder_and_evaluations(root, run):
    assert run_attempt(root.path, run.run_id, INLINE, go_on) == State.COMPLETED
    names = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert names == {
        "run.json",
        "attempts/0001/claim.json",
        "attempts/0001/events.jsonl",
        "attempts/0001/done.json",
        "encoder/state.pt",
        "encoder/manifest.json",
        "evaluations/probe-v3.json",
        "evaluations/knn-v3.json",
    }
    kinds = [record["type"] for record in RecordReader(run.attempt(1).events)]
    assert kinds == ["start", "metrics", "metrics", "metrics", "metrics", "checkpoint", "end"]


def test_a_job_waits_for_files_that_show_up_late(root, run):
    aside = run.path.with_name("not yet")
    run.path.rename(aside)
    with ThreadPoolExecutor(1) as pool:
        attempt = pool.submit(run_attempt, root.path, run.run_id, INLINE, go_on)
        time.sleep(0.5)
        assert not attempt.done() and not run.path.exists()
        aside.rename(run.path)
        assert attempt.result() == State.COMPLETED


def test_a_run_that_was_deleted_fails_with_its_reason(root, run, monkeypatch, capfd):
    monkeypatch.setattr("orchestrator.executors.worker._PATIENCE_S", 0.1)
    shutil.rmtree(run.path)
    assert run_attempt(root.path, run.run_id, INLINE, go_on) == State.FAILED
    assert "missing; launch the sweep again" in capfd.readouterr().err


def test_a_completed_run_is_not_tried_again(root, run):
    run_attempt(root.path, run.run_id, INLINE, go_on)
    assert run_attempt(root.path, run.run_id, INLINE, go_on) is None and len(run.attempts()) == 1


def test_a_stopped_run_goes_on_where_it_stopped(root, run):
    assert run_attempt(root.path, run.run_id, INLINE, stop_after(3)) == State.STOPPED
    assert (
        standing(run, Queue()).state == State.STOPPED
        and standing(run, Queue()).reason == "asked to"
    )
    assert run_attempt(root.path, run.run_id, INLINE, go_on) == State.COMPLETED
    start = next(
        record for record in RecordReader(run.attempt(2).events) if record["type"] == "start"
    )
    assert start["step"] == 3 and start["exact"] is True and not (run.path / "checkpoints").exists()


def test_the_outrun_attempt_stops_before_it_publishes_and_its_result_does_not_count(root, run):
    def overtaken():
        (run.path / "attempts" / "0002").mkdir(exist_ok=True)
        return "the launcher is gone"

    assert run_attempt(root.path, run.run_id, INLINE, overtaken) is None
    assert not [*run.path.glob("checkpoints/*")] and not run.attempt(1).done.exists()
    assert all(record["type"] != "end" for record in RecordReader(run.attempt(1).events))


def test_an_attempt_overtaken_at_the_last_moment_writes_no_result(root, run, monkeypatch):
    from byol_core.train import run as run_module

    evaluate = run_module._evaluate
    monkeypatch.setattr(
        run_module,
        "_evaluate",
        lambda *a: ((run.path / "attempts" / "0002").mkdir(exist_ok=True), evaluate(*a)),
    )
    assert run_attempt(root.path, run.run_id, INLINE, go_on) is None
    assert not run.attempt(1).done.exists()


def test_two_workers_on_one_run_give_one_result(root, run):
    with ThreadPoolExecutor(2) as pool:
        list(
            pool.map(
                lambda _: run_attempt(root.path, run.run_id, replace(INLINE, threads=0), go_on),
                range(2),
            )
        )
    results = [attempt for attempt in run.attempts() if attempt.done.exists()]
    assert len(results) == 1 and results[0].number == run.attempts()[-1].number


def test_an_exception_is_a_failure_with_its_reason_and_keeps_the_trace(root, run, capfd):
    description = json.loads(run.description.read_text())
    description["config"]["batch_size"] = 512
    write_json(run.description, description)
    assert run_attempt(root.path, run.run_id, replace(INLINE, capture=False), go_on) == State.FAILED
    where = standing(run, Queue())
    assert where.state == State.FAILED and "batch_size: 512 is larger than the 256" in where.reason
    assert "Traceback" in capfd.readouterr().err


def test_out_of_memory_is_a_state_of_its_own(root, run, monkeypatch, capfd):
    import torch

    def explode(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("byol_core.train.train", explode)
    assert run_attempt(root.path, run.run_id, INLINE, go_on) == State.OOM


def test_a_diverged_run_is_completed_with_that_outcome(root, run):
    description = json.loads(run.description.read_text())
    for part in ("encoder", "projector", "predictor"):
        description["config"][part]["norm"] = "none"
    description["config"]["optimizer"]["lr"] = 1e30
    write_json(run.description, description)
    assert run_attempt(root.path, run.run_id, INLINE, go_on) == State.COMPLETED
    assert standing(run, Queue()).outcome == "diverged"


# States by evidence


def claim(run, number=1, process=None, executor="local", job_id=None):
    attempt = run.attempt(number)
    attempt.path.mkdir(parents=True)
    process = process or this_process()
    write_json(
        attempt.claim,
        {
            "process": asdict(process),
            "job": asdict(AttemptContext(executor, job_id)),
            "claimed_at": 0.0,
        },
    )
    return attempt


def gone_here():
    return replace(this_process(), started=1)


def elsewhere():
    return replace(this_process(), host="node17")


def jobs(run, word):
    return {run.run_id: JobFacts("7_0", word)}


@pytest.mark.parametrize(
    ("process", "where", "word", "state"),
    [
        (this_process, None, "", State.RUNNING),
        (gone_here, None, "", State.LOST),
        (elsewhere, None, "", State.RUNNING),
        (elsewhere, "live", "RUNNING", State.RUNNING),
        (elsewhere, "unknown", "", State.RUNNING),
        (elsewhere, "ended", "", State.LOST),
        (gone_here, "live", "PENDING", State.SUBMITTED),
    ],
)
def test_a_claim_without_a_last_word(run, process, where, word, state):
    claim(run, process=process(), **({"executor": "slurm", "job_id": "7_0"} if where else {}))
    assert standing(run, Queue(**{where: jobs(run, word)} if where else {})).state == state


@pytest.mark.parametrize(
    ("where", "word", "state"),
    [
        (None, "", State.PLANNED),
        ("live", "PENDING", State.SUBMITTED),
        ("unknown", "", State.SUBMITTED),
        ("ended", "", State.LOST),
    ],
)
def test_a_run_without_an_attempt(run, where, word, state):
    assert standing(run, Queue(**{where: jobs(run, word)} if where else {})).state == state


def test_a_result_outranks_everything(run):
    attempt = claim(run, process=gone_here())
    write_json(attempt.done, {"outcome": "ok"})
    with RecordLog(attempt.events) as log:
        log.append({"type": "end", "state": "FAILED", "reason": "x"})
    assert standing(run, Queue(ended=jobs(run, "FAILED"))).state == State.COMPLETED


def test_the_highest_attempt_alone_counts(run):
    write_json(claim(run, 1).done, {"outcome": "ok"})
    claim(run, 2, process=gone_here())
    assert standing(run, Queue()).state == State.LOST


def test_a_pid_that_came_back_is_another_process():
    here = this_process()
    assert is_alive(here) is True and is_alive(replace(here, started=here.started + 1)) is False
    assert is_alive(replace(here, boot_id="another")) is False
    assert is_alive(Process("elsewhere", here.boot_id, here.pid, here.started)) is None


# Plans


def test_variants_that_mean_the_same_are_refused(tmp_path, spec_file):
    text_ = (
        "no_norm: {projector.norm: none, predictor.norm: none}",
        "same: {projector.norm: bn, projector.gn_groups: 4}",
    )
    with pytest.raises(SpecError, match="'byol' and 'same' mean the same in every run"):
        make_plan(load_sweep(spec_file(text_)), Root(tmp_path / "r"), Selection(), Queue())


def test_two_sweeps_share_runs(root, spec_file):
    run_attempt(root.path, root.runs()[0].run_id, INLINE, go_on)
    other = load_sweep(spec_file(("name: tiny", "name: other"), name="other.yaml"))
    plan = make_plan(other, root, Selection(), Queue())
    assert len(plan.reuse) == 1 and len(plan.start) == 3


def test_runs_go_out_seed_by_seed(tmp_path, spec_file):
    plan = make_plan(load_sweep(spec_file()), Root(tmp_path / "r"), Selection(), Queue())
    assert [(run.seed, run.variant.name) for run in plan.start] == [
        (0, "byol"),
        (0, "no_norm"),
        (1, "byol"),
        (1, "no_norm"),
    ]


def test_a_table_narrows_to_its_rows(tmp_path, spec_file):
    groups = (
        "no_norm: {projector.norm: none, predictor.norm: none}",
        "gn: {projector.norm: gn, predictor.norm: gn}",
    )
    sweep = load_sweep(spec_file(groups))
    plan = make_plan(sweep, Root(tmp_path / "r"), Selection(table="mlp_norm"), Queue())
    assert {run.variant.name for run in plan.start} == {"byol"}
    with pytest.raises(UsageError, match="did you mean 'mlp_norm'"):
        make_plan(sweep, Root(tmp_path / "r"), Selection(table="mlp_nrm"), Queue())


def test_failed_runs_wait_for_retry_and_lost_ones_do_not(root, spec_file):
    failed, lost, cancelled, _ = root.runs()
    for run, state in ((failed, "FAILED"), (cancelled, "CANCELLED")):
        with RecordLog(claim(run, process=gone_here()).events) as log:
            log.append({"type": "end", "state": state, "reason": "x"})
    claim(lost, process=gone_here())
    sweep = load_sweep(spec_file())
    plan = make_plan(sweep, root, Selection(), Queue())
    assert {run.run_id for run in plan.held_back} == {failed.run_id, cancelled.run_id}
    assert lost.run_id in {run.run_id for run in plan.start}
    again = make_plan(sweep, root, Selection(retry=frozenset({State.FAILED})), Queue())
    assert failed.run_id in {run.run_id for run in again.start} and cancelled.run_id not in {
        run.run_id for run in again.start
    }


def test_what_left_the_spec_is_named(root, spec_file):
    smaller = spec_file(("  no_norm: {projector.norm: none, predictor.norm: none}\n", ""))
    assert make_plan(load_sweep(smaller), root, Selection(), Queue()).removed_variants == [
        "no_norm"
    ]


def test_a_run_is_found_by_its_first_digits(root):
    run = root.runs()[0]
    assert root.find_run(run.run_id[:12]) == run
    with pytest.raises(UsageError, match="no run starts with"):
        root.find_run("zzz")
    shutil.copytree(run.path, root.path / "runs" / (run.run_id[:12] + "0" * 52))
    with pytest.raises(UsageError, match="2 runs start with"):
        root.find_run(run.run_id[:12])
