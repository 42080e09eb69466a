"""Submission against the scripted SLURM: arrays and limits, resources, refusals; each thread of
other projects by its name.
"""

import json
import re

import pytest
from conftest import SPEC

from orchestrator.errors import RootLockedError, SchedulerSilentError
from orchestrator.launch import send
from orchestrator.launch.launch import Reporter, launch
from orchestrator.launch.options import LaunchOptions
from orchestrator.launch.selection import Selection
from orchestrator.slurm.commands import ask
from orchestrator.slurm.limits import ask_controller, ask_room
from orchestrator.spec import load_sweep
from orchestrator.store.locks import launcher_lock
from orchestrator.store.root import Root

SILENT = Reporter(lambda *_: None, lambda _: None, lambda _: None)


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "sweep-runs")


@pytest.fixture
def go(root, fake_slurm):
    """Launch a spec on the fake; return what was sent."""

    def start(file, **asked):
        return launch(
            LaunchOptions(load_sweep(file), Selection(), "slurm", **asked), root, SILENT
        ).sent

    return start


def of_seeds(count, resources="gpus: 0, cpus: 1, mem_gb: 1, timeout_min: 10"):
    """A spec of one variant with so many seeds."""
    text = SPEC.replace("seeds: [0, 1]", f"seeds: {list(range(count))}")
    text = text.replace("  no_norm: {projector.norm: none, predictor.norm: none}\n", "")
    return text.replace("gpus: 0, cpus: 1, mem_gb: 1, timeout_min: 10", resources)


def scripts(fake_slurm):
    return [file.read_text() for file in sorted(fake_slurm.folder.glob("*.sh"))]


def array_sizes(fake_slurm):
    indices = [re.search(r"--array=0-(\d+)", text)[1] for text in scripts(fake_slurm)]
    return [int(last) + 1 for last in indices]


# Arrays and limits


def test_sracha_rs_81_max_array_size_limits_the_index_and_not_the_count(go, spec_file, fake_slurm):
    """At MaxArraySize=4 the highest index is 3: ten runs are three arrays, each from 0 on, and
    nothing is refused.
    """
    fake_slurm.set(MaxArraySize=4)
    sent = go(spec_file(text=of_seeds(10)))
    assert array_sizes(fake_slurm) == [4, 4, 2] and sent.refusal is None
    assert len(set(sent.job_ids)) == 10 == len(fake_slurm.jobs("PENDING"))


def test_submitit_1624_an_array_over_the_sites_limit_is_cut_and_every_run_has_its_own_job(
    go, spec_file, fake_slurm, root
):
    fake_slurm.set(MaxArraySize=3)
    go(spec_file(text=of_seeds(7)))
    assert sorted(runs_of_jobs(fake_slurm, root).values()) == sorted(
        [run.run_id] for run in root.runs()
    )


def runs_of_jobs(fake_slurm, root):
    """Return job id → runs, from the pickles that jobs load."""
    from submitit.core.utils import DelayedSubmission

    arrays = json.loads((fake_slurm.folder / "jobs.json").read_text())["arrays"]
    pickles = {
        array["id"]: next(root.sweep("tiny").launches.rglob(f"{array['name']}.pkl"), None)
        for array in arrays
    }
    calls = {
        array: DelayedSubmission.load(file) for array, file in pickles.items() if file is not None
    }
    return {
        f"{array}_{task}": runs
        for array, call in calls.items()
        for task, runs in enumerate(call.args[1])
    }


@pytest.mark.slow
def test_cruijff_kit_451_a_submit_limit_is_filled_and_the_rest_goes_out_later(
    go, spec_file, fake_slurm
):
    """QOS MaxSubmitJobsPerUser=25: 25 jobs go out and no more; as jobs end, the same launch sends
    the next ones.
    """
    fake_slurm.set(qos={"normal": {"MaxSubmitJobsPU": 25, "GrpSubmitJobs": None}})
    file = spec_file(text=of_seeds(60))
    first = go(file)
    assert (len(first.job_ids), first.held_back, first.limit) == (
        25,
        35,
        "MaxSubmitJobsPerUser of QOS normal is 25",
    )
    assert first.refusal is None and len(fake_slurm.calls("sbatch")) == 1
    assert go(file).job_ids == [] and len(fake_slurm.calls("sbatch")) == 1
    for job_id in first.job_ids[:10]:
        fake_slurm.end(job_id, state="COMPLETED")
    assert len(go(file).job_ids) == 10 and len(fake_slurm.jobs("PENDING")) == 25


def test_neuroai_79_the_limit_of_the_association_counts_too(go, spec_file, fake_slurm):
    fake_slurm.set(assoc={"MaxSubmitJobs": 3})
    assert len(go(spec_file(text=of_seeds(8))).job_ids) == 3


@pytest.mark.parametrize("accounting", ["none", "down"])
def test_snakemake_plugin_38_and_207_no_accounting_is_no_limit_and_no_crash(
    go, spec_file, fake_slurm, accounting
):
    fake_slurm.set(accounting=accounting)
    assert len(go(spec_file()).job_ids) == 4


def test_jobs_of_the_user_that_are_there_already_count(fake_slurm):
    fake_slurm.set(qos={"normal": {"MaxSubmitJobsPU": 5}})
    ask("sbatch", "--array=0-2", "--wrap", "true")
    room = ask_room(ask_controller(), max_jobs=4)
    charge = (None, "normal")
    assert [room.take(send.Charge(*charge)) for _ in range(2)] == [
        None,
        "max_jobs in clusters.yaml is 4",
    ]


def test_a_torn_answer_about_limits_is_no_limit(fake_slurm):
    fake_slurm.set(assoc={"MaxSubmitJobs": 3})
    fake_slurm.fail("sacctmgr", exit=0, truncate=5, times=9)
    assert [limit.name for limit in ask_room(ask_controller(), None).limits] == [
        "MaxJobCount of the cluster"
    ]


def test_seeds_go_out_first_to_last_also_over_kinds_of_resources(go, spec_file, fake_slurm, root):
    fake_slurm.set(assoc={"MaxSubmitJobs": 3})
    varied = "timeout_min: 10, per_variant: {no_norm: {mem_gb: 2}}"
    go(spec_file(("timeout_min: 10", varied)))
    sent = {run_id for runs in runs_of_jobs(fake_slurm, root).values() for run_id in runs}
    plan = json.loads(root.sweep("tiny").plan.read_text())["runs"]
    assert [run["run_id"] in sent for run in plan] == [True, True, True, False]


def test_slots_hold_over_all_arrays_of_a_launch(go, spec_file, fake_slurm):
    """Each array runs so many at once and waits for the one before, so the total holds, in the
    order of the plan.
    """
    fake_slurm.set(MaxArraySize=2)
    sent = go(spec_file(text=of_seeds(5)), slots=2)
    arrays = list(dict.fromkeys(job_id.partition("_")[0] for job_id in sent.job_ids))
    waits = [re.search(r"--dependency=(\S+)", text) for text in scripts(fake_slurm)]
    assert [found and found[1] for found in waits] == [
        None,
        f"afterany:{arrays[0]}",
        f"afterany:{arrays[1]}",
    ]
    assert all(re.search(r"--array=0-\d%[12]\b", text) for text in scripts(fake_slurm))


# What jobs ask for


FULL = """gpus: 2, gpu_type: a100, cpus: 6, mem_gb: 48, timeout_min: 90, nodes: 2, tasks: 2, partition: "a,b", account: lab,
  qos: normal, constraint: "a100&ib", exclude: "n[1-3]", nodelist: n7, reservation: paper,
  sbatch: {mail-type: END, nice: 100, spread-job: true},
  setup: ["module load cuda", "echo $HOME"], srun: ["--container-image=x.sqsh"], python: "apptainer exec --nv 'a b.sif' python",
  data: /scratch/my data, data_copy: $TMPDIR/sweep"""


def test_everything_that_resources_name_reaches_the_script(go, spec_file, fake_slurm):
    fake_slurm.set(partitions=["a,b"])
    go(spec_file(text=of_seeds(1, FULL)))
    (script,) = scripts(fake_slurm)
    for option in (
        *(
            "gpus-per-node=a100:2",
            "cpus-per-task=6",
            "mem=48GB",
            "time=90",
            "nodes=2",
            "ntasks-per-node=2",
            "partition=a,b",
        ),
        *(
            "account=lab",
            "qos=normal",
            "constraint='a100&ib'",
            "exclude='n[1-3]'",
            "nodelist=n7",
            "reservation=paper",
        ),
        *("mail-type=END", "nice=100", "spread-job", "hold", "requeue", "array=0-0%1"),
    ):
        assert f"#SBATCH --{option}\n" in script, option
    setup = script.split("# setup\n")[1].splitlines()
    assert setup.pop(0).startswith("ln -sf sweep-")
    setup = [line for line in setup if not line.startswith(("sweep_setup=", "echo 'setup line"))]
    assert setup[:5] == [
        *(
            "export PYTHONSAFEPATH=1",
            "export SWEEP_DATA='/scratch/my data'",
            'export SWEEP_DATA_COPY="$TMPDIR/sweep"',
        ),
        *("module load cuda", "echo $HOME"),
    ]
    assert "--container-image=x.sqsh apptainer exec --nv 'a b.sif' python -u -m submitit" in script


def test_no_value_of_the_environment_is_stored(go, spec_file, tmp_path, monkeypatch):
    """SLURM's own --export=ALL gives a job its environment; nothing of ours writes it down."""
    monkeypatch.setenv("MY_TOKEN", "canary-5f1c")
    go(spec_file())
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 10 and not [file for file in files if b"canary-5f1c" in file.read_bytes()]


def test_variables_of_the_shell_do_not_overrule_the_script(go, spec_file, fake_slurm, monkeypatch):
    """sbatch prefers SBATCH_ variables to the script: the user's own account stays, another job
    name or array does not.
    """
    for name, value in {
        "SBATCH_JOB_NAME": "mine",
        "SBATCH_ARRAY_INX": "0",
        "SBATCH_ACCOUNT": "lab",
    }.items():
        monkeypatch.setenv(name, value)
    go(spec_file())
    assert set(fake_slurm.jobs()["1001_0"]["environment"]) == {"SBATCH_ACCOUNT"}


def test_benchopt_759_one_array_per_kind_of_resources(go, spec_file, fake_slurm):
    go(
        spec_file(
            (
                "timeout_min: 10",
                "timeout_min: 10, per_variant: {no_norm: {mem_gb: 2, timeout_min: 20}}",
            )
        )
    )
    assert [re.findall(r"--(?:mem|time)=(\w+)", text) for text in scripts(fake_slurm)] == [
        ["1GB", "10"],
        ["2GB", "20"],
    ]


def test_nni_608_several_runs_in_a_job(go, spec_file, fake_slurm, root):
    sent = go(
        spec_file(text=of_seeds(5, "gpus: 1, timeout_min: 10, runs_per_job: 2, side_by_side: 2")),
        slots=4,
    )
    assert (len(sent.job_ids), sent.run_count) == (3, 5) and array_sizes(fake_slurm) == [3]
    assert [len(runs) for runs in sorted(runs_of_jobs(fake_slurm, root).values(), key=len)] == [
        1,
        2,
        2,
    ]
    assert "--array=0-2%2" in scripts(fake_slurm)[0]  # four runs at once are two jobs
    assert go(spec_file(text=of_seeds(5))).job_ids == []  # every run is known to have a job


# Refusal and silence


@pytest.mark.slow
def test_what_slurm_refuses_stays_planned_and_is_named_in_its_words(
    go, spec_file, fake_slurm, root
):
    """The first array is in; the second is refused; the next launch sends what is missing and
    nothing twice.
    """
    fake_slurm.set(MaxArraySize=2)
    fake_slurm.fail(
        "sbatch", stderr="sbatch: error: Batch job submission failed: Invalid account", after=1
    )
    file = spec_file(text=of_seeds(6))
    first = go(file)
    assert (
        "sbatch refused: Batch job submission failed: Invalid account; change resources.account"
        in first.refusal
        and len(first.job_ids) == 2
    )
    assert len(go(file).job_ids) == 4
    assert one_job_each(fake_slurm, root)


def one_job_each(fake_slurm, root):
    """Tell whether every run has one job that can start, and no other job is there."""
    alive = {job_id for job_id, job in fake_slurm.jobs("PENDING").items() if not job["held"]}
    held = {job_id for job_id, job in fake_slurm.jobs("PENDING").items() if job["held"]}
    runs = [
        run_id
        for job_id, runs in runs_of_jobs(fake_slurm, root).items()
        if job_id in alive
        for run_id in runs
    ]
    return not held and sorted(runs) == sorted(run.run_id for run in root.runs())


TIMED_OUT = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("stderr", [TIMED_OUT, "sbatch: error: something new"])
def test_nextflow_970_and_sisyphus_281_a_failed_sbatch_is_never_retried_blindly(
    go, spec_file, fake_slurm, root, accepted, stderr
):
    """Whether the job was accepted or not, after the next launch there is one job a run and no
    orphan.
    """
    fake_slurm.fail("sbatch", stderr=stderr, accepted=accepted)
    file = spec_file()
    assert "sbatch" in go(file).refusal and len(fake_slurm.calls("sbatch")) == 1
    assert not fake_slurm.jobs("PENDING")
    assert len(go(file).job_ids) == 4 and one_job_each(fake_slurm, root)


def test_a_job_that_slurm_takes_after_the_launcher_gave_up_is_cancelled_by_the_next_launch(
    go, spec_file, fake_slurm, root
):
    """slurmctld was stopped: it takes the job when it goes on, after sbatch and scancel have both
    come back.
    """
    fake_slurm.fail("sbatch", stderr=TIMED_OUT)
    file = spec_file()
    go(file)
    (key,) = {
        word.removeprefix("--name=") for words in fake_slurm.calls("scancel") for word in words
    }
    go(file)
    ask("sbatch", "--hold", f"--job-name={key}", "--array=0-3", "--wrap", "true")
    assert go(file).job_ids == []
    assert one_job_each(fake_slurm, root)


def test_an_sbatch_that_hangs_is_cut_off(go, spec_file, fake_slurm, root, monkeypatch):
    from orchestrator.slurm import arrays

    monkeypatch.setattr(arrays, "_SBATCH_S", 0.5)
    fake_slurm.fail("sbatch", accepted=True, exit=0, delay_s=30)
    file = spec_file()
    assert "did not answer within 0.5 s" in go(file).refusal
    go(file)
    assert one_job_each(fake_slurm, root)


def test_an_answer_that_is_no_job_id_is_not_believed(go, spec_file, fake_slurm, root):
    fake_slurm.fail("sbatch", accepted=True, exit=0, truncate=0)
    file = spec_file()
    assert "is no job id" in go(file).refusal and len(go(file).job_ids) == 4
    assert one_job_each(fake_slurm, root)


def test_jobs_that_could_not_be_released_are_released_by_the_next_launch(
    go, spec_file, fake_slurm, root
):
    fake_slurm.fail(
        "scontrol",
        stderr="slurm_suspend error: Unable to contact slurm controller (connect failure)",
        after=2,
    )
    file = spec_file()
    first = go(file)
    assert "got no answer" in first.refusal and len(first.job_ids) == 4
    assert all(job["held"] for job in fake_slurm.jobs("PENDING").values())
    assert go(file).job_ids == [] and one_job_each(fake_slurm, root)


def test_a_cluster_that_does_not_answer_is_one_error_and_nothing_is_lost(
    go, spec_file, fake_slurm, root
):
    fake_slurm.fail("scontrol", stderr="Unable to contact slurm controller (connect failure)")
    with pytest.raises(SchedulerSilentError, match="scontrol got no answer"):
        go(spec_file())
    assert fake_slurm.calls("sbatch") == [] and len(go(spec_file()).job_ids) == 4


def test_a_silent_slurm_leaves_the_sweep_as_the_launch_before_has_planned_it(
    go, spec_file, fake_slurm, root
):
    go(spec_file())
    before = root.sweep("tiny").plan.read_bytes(), [run.run_id for run in root.runs()]
    fake_slurm.fail("scontrol", stderr="Unable to contact slurm controller (connect failure)")
    with pytest.raises(SchedulerSilentError):
        go(spec_file(("epochs: 2", "epochs: 3")))
    assert (root.sweep("tiny").plan.read_bytes(), [run.run_id for run in root.runs()]) == before


def test_a_dry_run_says_that_slurm_does_not_answer(sweep, spec_file, fake_slurm):
    fake_slurm.fail("scontrol", stderr="Unable to contact slurm controller", times=9)
    done = sweep("launch", spec_file(), "--executor", "slurm", "--dry-run", check=0)
    assert "a launch would send nothing now: scontrol got no answer" in done.stdout + done.stderr


def test_exca_two_launchers_at_once_submit_once(go, spec_file, fake_slurm, root):
    root.create()
    with launcher_lock(root), pytest.raises(RootLockedError):
        go(spec_file())
    assert fake_slurm.calls("sbatch") == []


def test_the_command_says_what_went_out_and_what_did_not(sweep, spec_file, fake_slurm):
    fake_slurm.set(MaxArraySize=2, assoc={"MaxSubmitJobs": 3})
    done = sweep("launch", spec_file(), "--executor", "slurm", check=0)
    told = "submitted 3 jobs (SLURM 1001, 1002); 1 run not submitted yet (MaxSubmitJobs of account lab is 3)"
    assert f"{told}: run the same launch again" in done.stdout
    fake_slurm.set(assoc={"MaxSubmitJobs": None})
    fake_slurm.fail(
        "sbatch", stderr="sbatch: error: Batch job submission failed: Invalid qos specification"
    )
    refused = sweep("launch", spec_file(), "--executor", "slurm", check=1)
    assert refused.stderr == (
        "error: sbatch refused: Batch job submission failed: Invalid qos specification; change "
        "resources.qos (not set); qos here: normal; then run the launch again: what did not go out "
        "stays planned\n"
    )


def test_jobs_import_the_code_as_it_was_when_they_were_submitted(go, spec_file, fake_slurm, root):
    go(spec_file())
    (snapshot,) = (entry for entry in (root.path / "code").iterdir() if entry.is_dir())
    for script in scripts(fake_slurm):
        assert (
            f'export PYTHONPATH={snapshot}"$(' in script
            and f"SWEEP_CODE={snapshot.name} PYTHONSAFEPATH=1" in script
        )
