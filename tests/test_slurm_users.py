"""Faults that users of SLURM met: dead ends, jobs out of sight, refusals, variables of the shell."""

import subprocess
from dataclasses import replace

import pytest
from test_orchestrator_submit import SILENT, one_job_each

from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.doctor.examine import Subject, examine
from orchestrator.errors import UsageError
from orchestrator.launch.cancel import Choice, cancel_runs, find
from orchestrator.launch.circuit_breaker import FIRST_RUNS_FAILED
from orchestrator.launch.launch import Reporter, launch
from orchestrator.launch.options import LaunchOptions
from orchestrator.launch.plan import make_plan
from orchestrator.launch.selection import Selection
from orchestrator.slurm import commands
from orchestrator.slurm.listing import renamed
from orchestrator.slurm.nodes import read_nodes, unfit
from orchestrator.slurm.queue import look_at_queue
from orchestrator.slurm.reasons import explain, is_stuck
from orchestrator.slurm.refusals import advice
from orchestrator.slurm.setup import checked
from orchestrator.spec import Resources, load_sweep
from orchestrator.status.forecast import _RunLeft, _seconds
from orchestrator.status.run_status import RunStatus
from orchestrator.status.sweep_status import SweepStatus, sweep_statuses
from orchestrator.status.terminal import _next_steps, reason_lines
from orchestrator.status.verdict import verdict
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root
from orchestrator.store.standing import standing
from orchestrator.store.state import State

pytestmark = pytest.mark.slow

NO_ANSWER = "slurm_suspend error: Unable to contact slurm controller (connect failure)"
NOT_AVAILABLE = "Requested node configuration is not available for job 1001"


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "sweep-runs")


@pytest.fixture
def go(root, fake_slurm):
    """Launch a spec on the fake; return what was sent."""

    def start(file, notes=None, **selection):
        reporter = SILENT
        if notes is not None:
            reporter = Reporter(lambda *_: None, notes.append, lambda _: None)
        options = LaunchOptions(load_sweep(file), Selection(**selection), "slurm")
        return launch(options, root, reporter).sent

    return start


def states(root):
    queue = look_at_queue(root)
    return [standing(run, queue).state.value for run in root.runs()]


# Submissions that were acknowledged and never released


def test_a_held_job_that_was_cancelled_by_hand_can_be_launched_again(
    go, root, spec_file, fake_slurm
):
    """Its launcher died before the release; the queue is asked how it stands."""
    fake_slurm.fail("scontrol", stderr=NO_ANSWER, after=2)
    file = spec_file()
    go(file)
    fake_slurm.end(*fake_slurm.jobs(), state="CANCELLED")
    assert states(root) == ["CANCELLED"] * 4

    notes = []
    fake_slurm.fail("scontrol", stderr="Job/step already completing or completed for job 1001")
    assert go(file, notes).job_ids == []
    assert "SLURM has none of them waiting any more" in notes[0]
    assert len(go(file, notes, retry=frozenset({State.CANCELLED})).job_ids) == 4
    assert len(notes) == 1 and one_job_each(fake_slurm, root)


def test_jobs_that_slurm_refuses_to_release_are_taken_back_at_once(go, root, spec_file, fake_slurm):
    fake_slurm.fail("scontrol", stderr=NOT_AVAILABLE, after=2)
    file = spec_file()
    sent = go(file)
    assert "node configuration" in sent.refusal and sent.job_ids == []
    assert fake_slurm.jobs("PENDING") == {} and states(root) == ["PLANNED"] * 4
    assert len(go(file).job_ids) == 4


def test_jobs_that_a_dead_launcher_left_and_slurm_refuses_to_release_are_planned_again(
    go, root, spec_file, fake_slurm
):
    fake_slurm.fail("scontrol", stderr=NO_ANSWER, after=2)
    file = spec_file()
    go(file)
    notes = []
    fake_slurm.fail("scontrol", stderr=NOT_AVAILABLE)
    assert len(go(file, notes).job_ids) == 4
    assert "cancelled, as nothing of them had begun" in notes[0]
    assert one_job_each(fake_slurm, root)


# Jobs of runs that the spec has no more


def cancel(root, *sweeps):
    queue = look_at_queue(root)
    return cancel_runs(root, find(root, Choice(sweeps), queue).run_ids, queue)


@pytest.mark.parametrize(
    "change",
    [("seeds: [0, 1]", "seeds: [0]"), ("predictor.norm: none", "predictor.norm: ln")],
)
def test_jobs_of_what_left_the_spec_are_seen_and_cancelled(
    go, root, spec_file, fake_slurm, tmp_path, change
):
    go(spec_file())
    go(spec_file(change))
    fewer = change[0].startswith("seeds")
    engine = open_database(str(tmp_path / "results.db"))
    collect(root, engine, look_at_queue(root))
    (status,) = sweep_statuses(engine, "tiny")
    assert status.left_jobs == 2 and len(status.runs) == (2 if fewer else 4)
    assert "2 jobs of runs that left the spec" in next(iter(_next_steps(status, False)))
    assert cancel(root, "tiny") == len(fake_slurm.jobs("CANCELLED")) == (4 if fewer else 6)


def test_what_left_one_sweep_and_is_asked_for_by_another_is_spared(go, root, spec_file, fake_slurm):
    go(spec_file())
    go(spec_file(("name: tiny", "name: other"), name="other.yaml"))
    go(spec_file(("seeds: [0, 1]", "seeds: [0]")))
    assert cancel(root, "tiny") == 0 and len(fake_slurm.jobs("PENDING")) == 4
    assert cancel(root, "tiny", "other") == 4


def test_prune_cancels_the_jobs_of_seeds_that_left_the_spec(root, spec_file, fake_slurm):
    def start(file, **asked):
        options = LaunchOptions(load_sweep(file), Selection(), "slurm", **asked)
        return launch(options, root, SILENT)

    start(spec_file())
    done = start(spec_file(("seeds: [0, 1]", "seeds: [1]")), prune=True)
    assert done.plan.removed_variants == ["byol", "no_norm"]
    assert len(fake_slurm.jobs("CANCELLED")) == 2 == len(fake_slurm.jobs("PENDING"))


def test_seeds_of_one_launch_alone_do_not_leave_the_spec(go, root, spec_file, fake_slurm):
    file = spec_file()
    go(file, seeds=[7])
    go(file)
    assert make_plan(load_sweep(file), root, Selection(), Queue()).removed == []
    assert cancel(root, "tiny") == 6


# Refusals that would come again


REFUSED = "sbatch: error: Batch job submission failed: "


def test_a_wrong_partition_is_named_with_those_that_are_there_and_holds_nothing_else_up(
    go, root, spec_file, fake_slurm
):
    own = "timeout_min: 10, per_variant: {byol: {partition: nope}}"
    sent = go(spec_file(("timeout_min: 10", own)))
    assert "change resources.partition (nope); partition here: debug, high" in sent.refusal
    assert sent.for_good and len(sent.job_ids) == 2 == len(fake_slurm.jobs("PENDING"))
    assert "same launch again" not in sent.refusal


@pytest.mark.parametrize(
    ("words", "asked", "advised"),
    [
        ("Invalid account or account/partition combination specified", {}, "account here: lab"),
        ("Invalid qos specification", {"qos": "gold"}, "resources.qos (gold); qos here: normal"),
        ("Invalid feature specification", {"constraint": "x"}, "constraint here: avx, big"),
        (
            "Requested node configuration is not available",
            {"cpus": 99, "gpus": 9},
            "resources.cpus 99: a node of partition debug has at most 8; "
            "resources.gpus 9: a node of partition debug has 4",
        ),
        ("Memory specification can not be satisfied", {"mem_gb": 900}, "has at most 62"),
        ("Requested time limit is invalid", {}, "at most infinite in debug"),
        ("Invalid generic resource (gres) specification", {"gpu_type": "b"}, "gpu_type b: nodes"),
    ],
)
def test_a_refusal_says_what_to_change_and_what_is_allowed(fake_slurm, words, asked, advised):
    fake_slurm.set(node={"f": "avx,big"})
    assert advised in advice(f"sbatch refused: {words}", Resources(**asked))


def test_a_refusal_that_may_pass_is_no_reason_to_change_anything():
    assert advice("sbatch refused: AssocMaxSubmitJobLimit", Resources()) is None


def test_what_nodes_cannot_give_is_told_and_what_they_can_is_not(fake_slurm):
    fake_slurm.set(node={"G": "gpu:a100:4(S:0-1),gpu:2080ti:2", "D": "3", "f": "avx,ib"})
    nodes = read_nodes()
    fine = Resources(gpus=4, gpu_type="a100", cpus=8, mem_gb=62, nodes=3, constraint="avx&ib*2")
    assert unfit(fine, nodes) == []
    assert unfit(Resources(gpus=6), nodes) == [] and len(unfit(Resources(gpus=7), nodes)) == 1
    wrong = Resources(gpus=3, gpu_type="2080ti", nodes=4, constraint="[avx|ssd]")
    assert [text.partition(":")[0] for text in unfit(wrong, nodes)] == [
        "resources.gpus 3",
        "resources.nodes 4",
        "resources.constraint ssd",
    ]
    assert unfit(Resources(cpus=1000, partition="elsewhere"), nodes) == []


@pytest.mark.parametrize("text", ["Welcome to fake!\n\n1001\n", "1001;fake\nquota: 12 of 20 GB\n"])
def test_a_banner_around_the_job_id_is_read_over(monkeypatch, text):
    monkeypatch.setattr(commands, "ask", lambda *_, **__: text)
    assert commands.sbatch("script") == "1001"


# Variables of the shell, paths, setup lines


def test_variables_of_an_enclosing_job_and_of_scancel_do_not_reach_slurm(
    go, root, spec_file, fake_slurm, monkeypatch
):
    for name, value in {
        "SLURM_MEM_PER_CPU": "100",
        "SLURM_EXPORT_ENV": "NONE",
        "SBATCH_ARRAY_INX": "0-2",
        "SLURM_CLUSTERS": "",
        "SLURM_CONF": "/etc/slurm.conf",
        "SBATCH_ACCOUNT": "lab",
        "SCANCEL_STATE": "RUNNING",
        "SCANCEL_INTERACTIVE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    go(spec_file())
    (job, *_) = fake_slurm.jobs().values()
    assert job["environment"] == {"SLURM_CONF": "/etc/slurm.conf", "SBATCH_ACCOUNT": "lab"}
    kept = commands._environment("scancel")
    assert not [name for name in kept if name.startswith("SCANCEL_")]
    assert "SLURM_CLUSTERS" not in kept and "SLURM_CONF" in kept


@pytest.mark.parametrize("name", ["50%", "back\\slash"])
def test_a_root_that_slurm_reads_as_a_pattern_is_refused_at_once(
    tmp_path, spec_file, fake_slurm, name
):
    options = LaunchOptions(load_sweep(spec_file()), Selection(), "slurm", dry_run=True)
    with pytest.raises(UsageError, match="as a pattern"):
        launch(options, Root(tmp_path / name), SILENT)


def script(*lines):
    text = "\n".join([*checked(lines), "echo the run"])
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True)


def test_the_first_setup_line_that_fails_stops_the_job_and_is_named():
    done = script("export X=1", "module load 'no such'", "echo later")
    assert (done.returncode, done.stdout) == (1, "")
    assert "setup line failed, so the run was not begun: module load 'no such'" in done.stderr
    assert "(exit status 127)" in done.stderr


def test_setup_lines_that_work_alone_or_together_are_left_as_they_are():
    lines = [
        "# all",
        "if true; then",
        "echo yes",
        "fi",
        "cat <<EOF",
        "text",
        "EOF",
        "X=a \\",
        "Y=b",
    ]
    done = script(*lines)
    assert (done.returncode, done.stderr) == (0, "") and "the run" in done.stdout
    assert script("if true; then", "false", "fi").returncode == 1


# What the doctor says of a request


def findings(root, file, tmp_path):
    topics = examine(Subject(root, str(tmp_path / "results.db"), load_sweep(file)))
    return [one for one in dict(topics)["SLURM"] if one.name == "resources"]


def test_the_doctor_compares_a_request_with_what_nodes_have(root, spec_file, fake_slurm, tmp_path):
    root.create()
    (wrong,) = findings(root, spec_file(("gpus: 0, cpus: 1", "gpus: 9, cpus: 99")), tmp_path)
    assert wrong.level == "fail"
    assert "cpus 99: a node of partition debug has at most 8" in wrong.observed
    assert "gpus 9: a node of partition debug has 4" in wrong.observed
    (fine,) = findings(root, spec_file(("gpus: 0, cpus: 1", "gpus: 4, cpus: 8")), tmp_path)
    assert fine.level == "ok"


def test_the_doctor_warns_of_an_account_that_nobody_checks(root, spec_file, fake_slurm, tmp_path):
    root.create()
    file = spec_file(("timeout_min: 10", "timeout_min: 10, account: typo, qos: gold"))
    assert [one.level for one in findings(root, file, tmp_path)] == ["ok"]
    fake_slurm.set(config={"AccountingStorageEnforce": "none"})
    _, warning = findings(root, file, tmp_path)
    assert "account typo and qos gold: this cluster takes any name" in warning.observed


# Reasons


@pytest.mark.parametrize(
    ("reason", "words", "stuck"),
    [
        ("QOSGrpCpuLimit", "your QOS's share of CPUs is in use", False),
        ("QOSGrpCPULimit", "your QOS's share of CPUs is in use", False),
        ("AssocGrpCpuLimit", "your account's share of CPUs is in use", False),
        ("AssocGrpCPUMinutesLimit", "hours that your account has are used up", True),
        ("QOSMaxGRESPerJob", "it asks for more GPUs than your QOS lets a job have", True),
        ("QOSMaxGRESPerUser", "if no job of yours runs, it asks for too much", False),
        ("MaxMemPerAccount", "your account lets you have no more memory at once", False),
        ("QOSMaxWallDurationPerJobLimit", "lower resources.timeout_min", True),
        ("QOSMinGRES", "raise resources.gpus", True),
        ("AssocMaxSubmitJobLimit", "your account takes no more jobs at once", False),
        ("(job_requeued_in_held_state)", "requeued and held", True),
        ("Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved", "down, drained or kept", False),
        ("PartitionConfig", "does not allow what it asks for", True),
        ("JobHoldMaxRequeue", "requeued too often", True),
        ("AccountNotAllowed", "change resources.account", True),
        ("DependencyNeverSatisfied", "cancel it and launch again", True),
        ("ReservationDeleted", "its reservation is gone", True),
        ("QOSNotAllowed", "change resources.qos", True),
        ("JobHeldAdmin", "an administrator, who alone can release it", True),
        ("JobHeldUser", "held by you", True),
        ("BadConstraints", "no node can meet", True),
        ("SomethingNew", "SomethingNew", False),
        ("QOSGrpCPURunMinutesLimit", "it starts as they end", False),
        ("AssocMaxCpuMinutesPerJobLimit", "lower timeout_min or cpus", True),
        ("QOSMinMemory", "it asks for less memory", True),
        ("QOSUsageThreshold", "used less of late", True),
        ("BurstBufferStageIn", "copied to or from a burst buffer", False),
        ("user_env_retrieval_failed_requeued_held", "scontrol release", True),
        ("SystemFailure", "SLURM itself", False),
    ],
)
def test_a_reason_says_what_it_means_and_whether_it_passes(reason, words, stuck):
    assert words in explain(reason) and is_stuck(reason) is stuck


def of_reason(state, reason=None, queue_reason=None):
    return RunStatus("ab" * 32, "byol", 0, State(state), reason=reason, queue_reason=queue_reason)


def test_a_sweep_whose_job_can_never_start_waits_for_you():
    status = SweepStatus("tiny", 0.0, runs=[of_reason("SUBMITTED", queue_reason="BadConstraints")])
    assert verdict(status) == "waits for you" and "cannot start" in "".join(
        _next_steps(status, False)
    )
    queued = SweepStatus("tiny", 0.0, runs=[of_reason("SUBMITTED", queue_reason="Priority")])
    assert verdict(queued) == "queued"


def test_a_suspended_job_and_one_without_a_reason_have_words():
    lines = list(reason_lines([of_reason("RUNNING", "suspended"), of_reason("RUNNING", "running")]))
    assert len(lines) == 1 and "suspended: SLURM lends its node" in lines[0]
    assert "not looked at it yet" in of_reason("SUBMITTED", "pending").why


def test_runs_that_the_sweeps_first_failures_stopped_say_so(go, root, spec_file, fake_slurm):
    go(spec_file())
    run_ids = [run.run_id for run in root.runs()]
    cancel_runs(root, run_ids, look_at_queue(root), FIRST_RUNS_FAILED)
    assert {standing(run, Queue()).reason for run in root.runs()} == {FIRST_RUNS_FAILED}


# What only SLURM, or only the run, can tell


def test_a_job_that_its_user_renamed_is_still_the_runs_job(go, root, spec_file, fake_slurm):
    file = spec_file()
    first, second, *_ = go(file).job_ids
    fake_slurm.change(first, second, name="mine")
    fake_slurm.start(second)
    queue = look_at_queue(root)
    assert len(queue.live) == 4 and not queue.unknown
    assert go(file).job_ids == [] and cancel(root, "tiny") == 4


def test_an_id_that_slurm_used_again_is_not_a_renamed_job(fake_slurm, go, spec_file):
    (job_id, *_) = go(spec_file()).job_ids
    assert {facts.job_id for facts in renamed([job_id]).values()} == {job_id}
    array = job_id.partition("_")[0]
    with fake_slurm._state() as state:
        (known,) = [known for known in state["arrays"] if str(known["id"]) == array]
        known["script"] = "/elsewhere/other.sh"
    assert [name for name, _ in renamed([job_id])] == ["other"]


def test_equal_ends_of_different_jobs_are_one_line_and_a_long_reason_is_cut():
    ended = "job 12_{} ended without a word of its own (failed, on n1)"
    runs = [of_reason("FAILED", ended.format(number)) for number in range(3)]
    assert len(list(reason_lines(runs))) == 1
    (line,) = reason_lines([of_reason("FAILED", "ValueError: " + "x" * 5_000_000)])
    assert len(line) < 500 and "characters more" in line


def test_slots_and_resources_of_runs_that_are_queued_already_are_said_to_come_too_late(
    root, spec_file, fake_slurm
):
    notes = []
    reporter = Reporter(lambda *_: None, notes.append, lambda _: None)
    options = LaunchOptions(load_sweep(spec_file()), Selection(), "slurm", slots=2)
    launch(options, root, reporter)
    assert notes == []
    launch(options, root, reporter)
    assert len(notes) == 1 and "4 queued runs keep the limit" in notes[0]

    # So are changed resources; of one variant, these concern its runs alone.
    notes.clear()
    more = ("resources: {", "resources: {per_variant: {byol: {mem_gb: 2}}, ")
    launch(replace(options, sweep=load_sweep(spec_file(more)), slots=None), root, reporter)
    assert len(notes) == 1 and "2 queued runs keep the resources that" in notes[0]
    assert "sweep cancel tiny" in notes[0]


def test_the_pace_of_a_runs_first_seconds_tells_nothing():
    young = _RunLeft(True, ("byol",), 10, 0.01, own_left_s=3540.0, has_settled=False)
    assert _seconds([young], {}, max) == []
    assert _seconds([replace(young, has_settled=True)], {}, max) == [3540.0]
