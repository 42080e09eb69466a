"""What runs ask for: more memory lets a run that lacked it start again, and hours count the GPUs
that were really held.
"""

import json
import time
from dataclasses import asdict

import pytest

from byol_core.files import RecordLog, write_json
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.cost import estimate
from orchestrator.launch.launch import Reporter, launch
from orchestrator.launch.options import LaunchOptions
from orchestrator.launch.plan import make_plan
from orchestrator.launch.requests import ResourceRequests
from orchestrator.launch.selection import Selection
from orchestrator.machine.processes import this_process
from orchestrator.slurm.queue import look_at_queue
from orchestrator.spec import load_sweep
from orchestrator.status.sweep_status import sweep_statuses
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

pytestmark = pytest.mark.slow

SILENT = Reporter(lambda *_: None, lambda _: None, lambda _: None)
ASKED = "resources: {gpus: 0, cpus: 1, mem_gb: 1, timeout_min: 10}"


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "root")


def out_of_memory(root, fake_slurm, job_ids, told=True):
    """Let each job run, as far as its claim, and run out of memory."""
    for job_id, run in zip(job_ids, launched(root), strict=True):
        fake_slurm.start(job_id)
        attempt = run.attempt(len(run.attempts()) + 1)
        attempt.path.mkdir(parents=True)
        job = AttemptContext(
            "slurm", job_id, asked=asked_by(fake_slurm, root, job_id) if told else None
        )
        write_json(
            attempt.claim,
            {
                "process": asdict(this_process()),
                "job": asdict(job),
                "claimed_at": time.time() - 3600,
            },
        )
        with RecordLog(attempt.events) as log:
            log.append(
                {"t": time.time(), "type": "end", "state": "OOM", "reason": "CUDA out of memory"}
            )
        fake_slurm.end(job_id)


def launched(root):
    queue = look_at_queue(root)
    return [
        root.run(run_id) for run_id, _ in sorted(queue.live.items(), key=lambda one: one[1].job_id)
    ]


def asked_by(fake_slurm, root, job_id):
    """Return what the launcher gave to the job, out of the pickle that the job would load."""
    from submitit.core.utils import DelayedSubmission

    name = fake_slurm.jobs()[job_id]["name"]
    (pickle,) = root.path.rglob(f"{name}.pkl")
    return DelayedSubmission.load(pickle).args[-1]


CHANGES = {
    "the same": ("mem_gb: 1,", 0),
    "more": ("mem_gb: 2,", 4),
    "another partition": ("mem_gb: 1, partition: high,", 4),
    "less, elsewhere": ("mem_gb: 1, side_by_side: 2, runs_per_job: 2, partition: high,", 0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_out_of_memory_is_tried_again_with_more_and_never_with_the_same(
    root, fake_slurm, spec_file, change
):
    sent = launch(LaunchOptions(load_sweep(spec_file()), Selection(), "slurm"), root, SILENT).sent
    out_of_memory(root, fake_slurm, sent.job_ids)
    now, started = CHANGES[change]
    again = launch(
        LaunchOptions(load_sweep(spec_file(("mem_gb: 1,", now))), Selection(), "slurm"),
        root,
        SILENT,
    )
    assert (again.sent.run_count, len(again.plan.held_back)) == (started, 4 - started)


def test_what_one_variant_asks_for_is_compared_for_it_alone(root, fake_slurm, spec_file):
    sent = launch(LaunchOptions(load_sweep(spec_file()), Selection(), "slurm"), root, SILENT).sent
    out_of_memory(root, fake_slurm, sent.job_ids)
    own = ASKED.replace("}", ", per_variant: {no_norm: {mem_gb: 3}}}")
    again = launch(
        LaunchOptions(load_sweep(spec_file((ASKED, own))), Selection(), "slurm"), root, SILENT
    )
    assert {run.variant.name for run in again.plan.start} == {"no_norm"}


def test_runs_that_no_job_made_are_held_back_whatever_is_asked_for(root, fake_slurm, spec_file):
    sent = launch(LaunchOptions(load_sweep(spec_file()), Selection(), "slurm"), root, SILENT).sent
    out_of_memory(root, fake_slurm, sent.job_ids, told=False)
    more = load_sweep(spec_file(("mem_gb: 1,", "mem_gb: 64,")))
    assert launch(LaunchOptions(more, Selection(), "slurm"), root, SILENT).sent.run_count == 0
    assert (
        make_plan(more, root, Selection(), look_at_queue(root), ResourceRequests("local")).start
        == []
    )


GPUS = {  # resources → GPUs that one run of each variant holds
    "two each": ("gpus: 2, cpus: 1", {"byol": 2.0, "no_norm": 2.0}),
    "two nodes": ("gpus: 2, nodes: 2, cpus: 1", {"byol": 4.0, "no_norm": 4.0}),
    "shared": ("gpus: 1, runs_per_job: 2, side_by_side: 2, cpus: 1", {"byol": 0.5, "no_norm": 0.5}),
    "one variant's own": (
        "gpus: 1, per_variant: {no_norm: {gpus: 4}}, cpus: 1",
        {"byol": 1.0, "no_norm": 4.0},
    ),
}


@pytest.mark.parametrize("case", GPUS)
def test_gpu_hours_count_what_the_job_really_held(root, fake_slurm, spec_file, tmp_path, case):
    resources, held = GPUS[case]
    file = spec_file(("gpus: 0, cpus: 1", resources))
    sent = launch(LaunchOptions(load_sweep(file), Selection(seeds=[0]), "slurm"), root, SILENT).sent
    bundled = dict.fromkeys(sent.job_ids, 1 + ("shared" in case))
    out_of_memory(
        root, fake_slurm, [job_id for job_id, runs in bundled.items() for _ in range(runs)]
    )
    engine = open_database(str(tmp_path / "results.db"))
    collect(root, engine, look_at_queue(root))
    used = sweep_statuses(engine)[0].usage
    assert (used.unit, used.run_hours) == ("GPU-hours", pytest.approx(2.0, rel=0.01))
    assert used.hours == pytest.approx(sum(held.values()), rel=0.01)


def test_a_cluster_that_gives_gpus_by_default_counts_too(
    root, fake_slurm, spec_file, tmp_path, monkeypatch
):
    clusters = tmp_path / "clusters.yaml"
    clusters.write_text("clusters: {fake: {gpus: 8, mem_gb: 7}}\n")
    monkeypatch.setenv("SWEEP_CLUSTERS", str(clusters))
    sweep = load_sweep(spec_file(("gpus: 0, cpus: 1, mem_gb: 1, ", "")))
    (variant, _) = make_plan(sweep, root, Selection(), Queue()).variants
    assert ResourceRequests("slurm").for_variant(sweep, variant) | {
        "gpus": 8.0,
        "mem_gb": 7.0,
    } == ResourceRequests("slurm").for_variant(sweep, variant)
    assert ResourceRequests("local").for_variant(sweep, variant) == {"gpus": 0.0}


def test_a_plan_is_priced_by_the_gpus_that_it_asks_for(root, fake_slurm, spec_file, tmp_path):
    sweep = load_sweep(
        spec_file(("gpus: 0, cpus: 1", "gpus: 2, cpus: 1, per_variant: {no_norm: {gpus: 4}}"))
    )
    root.create()
    plan = launch(
        LaunchOptions(sweep, Selection(seeds=[0], only=["byol"]), "slurm"), root, SILENT
    ).plan
    run_attempt(
        root.path, plan.start[0].run_id, AttemptContext("inline", capture=False), lambda: None
    )
    engine = open_database(str(tmp_path / "results.db"))
    collect(root, engine, look_at_queue(root))
    wall_s = json.loads(root.run(plan.start[0].run_id).attempt(1).done.read_text())["wall_s"]
    rest = make_plan(sweep, root, Selection(), look_at_queue(root))
    cost = estimate(engine, rest, ResourceRequests("slurm"))
    assert cost.run_hours == pytest.approx(3 * wall_s / 3600, rel=0.02)
    assert cost.gpu_hours == pytest.approx((2 + 4 + 4) * wall_s / 3600, rel=0.02)
    assert estimate(engine, rest, ResourceRequests("local")).gpu_hours == 0
