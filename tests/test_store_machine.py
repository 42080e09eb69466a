"""Any order of launches, deaths, requeues, zombies, looks and jumps of the clock: one right result
a run, nothing doubled.

A state machine drives the real intent log, plan, worker, collector and rebuild; SLURM is a dict,
training a sum that any wrong resume changes. The crash points of a launch are those between its
calls of SLURM.
"""

import itertools
import shutil
import tempfile
import types
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import SPEC
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from byol_core.files import RecordReader, make_folder, read_json, write_json
from byol_core.train import Result
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.database.rebuild import verify
from orchestrator.errors import RootLockedError, SchedulerError, SchedulerSilentError
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.machine.processes import Process
from orchestrator.slurm.queue import look_at_queue
from orchestrator.spec import load_sweep
from orchestrator.store import intents
from orchestrator.store.jobs import JobFacts
from orchestrator.store.locks import launcher_lock
from orchestrator.store.root import Root
from orchestrator.store.state import ACTIVE, State

TOTAL = 4
RETRIED = frozenset(State) - ACTIVE - {State.COMPLETED}
ONE_VARIANT = SPEC.replace("  no_norm: {projector.norm: none, predictor.norm: none}\n", "")
ACTIONS = st.lists(st.sampled_from(["step", "save", "step", "other"]), max_size=6)
ENDS = st.sampled_from(["finish", "die", "stop"])
CRASHES = st.sampled_from(
    ["", "", "before sbatch", "after sbatch", "before release", "silent", "refused"]
)


class Death(BaseException):
    """The process ends here."""


def value_after(seed, step):
    value = seed
    for i in range(step):
        value = (value * 31 + i + 7) % 997
    return value


class Slurm:
    """Job id → what it is: name, run, state."""

    def __init__(self, now):
        self.jobs, self.history, self.arrays, self.now = {}, [], itertools.count(1), now

    def submit_held(self, key, run_ids):
        array = next(self.arrays)
        held = {
            f"{array}_{i}": {"key": key, "run": run_id, "word": "HELD"}
            for i, run_id in enumerate(run_ids)
        }
        self.jobs |= {job_id: {**job, "at": self.now()} for job_id, job in held.items()}
        return [*held]

    def release(self, job_ids):
        for job_id in job_ids:
            if job_id in self.jobs:
                self.jobs[job_id]["word"] = "PENDING"
                self.history.append((job_id, self.jobs[job_id]["run"]))

    def cancel(self, key):
        self.jobs = {job_id: job for job_id, job in self.jobs.items() if job["key"] != key}

    def listing(self, keys):
        return {
            (job["key"], job_id): JobFacts(
                job_id, "PENDING" if job["word"] == "HELD" else job["word"], job["at"]
            )
            for job_id, job in self.jobs.items()
            if job["key"] in keys
        }


class Store(RuleBasedStateMachine):
    """The system and the world around it."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="sweep-machine-"))
        (self.folder / "tiny.yaml").write_text(ONE_VARIANT)
        self.sweep, self.root = load_sweep(self.folder / "tiny.yaml"), Root(self.folder / "root")
        self.root.create()
        self.engine = open_database(str(self.folder / "results.db"))
        self.clock, self.scripts, self.accepted = 1e9, [], {}
        self.slurm = Slurm(lambda: self.clock)
        self.launches = itertools.count()
        self.patch = pytest.MonkeyPatch()
        time = types.SimpleNamespace(
            time=lambda: self.clock, monotonic=lambda: self.clock, sleep=lambda _: None
        )
        for module in ("store.intents", "slurm.queue", "executors.worker", "launch.plan_files"):
            self.patch.setattr(f"orchestrator.{module}.time", time)
        self.patch.setattr("orchestrator.slurm.queue.has_slurm", lambda: True)
        self.patch.setattr("orchestrator.slurm.queue.queue", self.slurm.listing)
        self.patch.setattr("orchestrator.slurm.queue.account", lambda *_: None)
        self.patch.setattr(
            "orchestrator.slurm.requeue._look", lambda: ("RUNNING", None)
        )  # no squeue is here to be waited for
        self.patch.setattr(
            "orchestrator.executors.worker.this_process", lambda: Process("node", "boot", 1, 1)
        )
        self.patch.setattr("byol_core.train.train", self.train)

    # Launching

    @rule(crash=CRASHES)
    def launch(self, crash):
        with suppress(Death, SchedulerError), launcher_lock(self.root):
            with pytest.raises(RootLockedError), launcher_lock(self.root):
                pass  # a second launcher
            intents.recover(self.root, self.slurm.cancel, self.slurm.release)
            plan = make_plan(
                self.sweep, self.root, Selection(retry=RETRIED), look_at_queue(self.root)
            )
            write_plan(plan, self.root)
            run_ids = [run.run_id for run in plan.start]
            if run_ids:
                self.submit(run_ids, crash)

    def submit(self, run_ids, crash):
        key = f"sweep-{next(self.launches)}"
        log = self.root.sweep(self.sweep.label).launches / f"{key}.jsonl"

        def sbatch():
            if crash == "before sbatch":
                raise Death
            if crash == "refused":
                raise SchedulerError("Invalid partition")
            job_ids = self.slurm.submit_held(key, run_ids)
            if crash == "silent":
                raise SchedulerSilentError("sbatch did not answer")
            if crash == "after sbatch":
                raise Death
            return job_ids

        def release(job_ids):
            if crash == "before release":
                raise Death
            self.slurm.release(job_ids)

        bundles = [[run_id] for run_id in run_ids]
        job_ids = intents.submit(self.root, log, key, bundles, {}, sbatch, self.slurm.cancel)
        intents.release(log, key, job_ids, release)

    # Running

    @precondition(lambda self: self.pending())
    @rule(data=st.data(), actions=ACTIONS, end=ENDS, comes_back=st.booleans())
    def run_job(self, data, actions, end, comes_back):
        job_id = data.draw(st.sampled_from(self.pending()))
        self.run(job_id, [*actions, end], comes_back)

    def pending(self):
        return [job_id for job_id, job in self.slurm.jobs.items() if job["word"] == "PENDING"]

    def run(self, job_id, script, comes_back=False):
        job = self.slurm.jobs[job_id]
        job["word"] = "RUNNING"
        self.attempt(job["run"], job_id, script)
        if job_id in self.slurm.jobs:
            if comes_back and script[-1] != "finish":  # requeued, by SLURM or by itself
                job |= {"word": "PENDING", "at": self.clock}
            else:
                del self.slurm.jobs[job_id]

    @precondition(lambda self: self.slurm.history)
    @rule(data=st.data(), actions=ACTIONS, end=ENDS)
    def zombie(self, data, actions, end):
        """A worker that SLURM has long forgotten, or that a network partition hid, comes to a run."""
        job_id, run_id = data.draw(st.sampled_from(self.slurm.history))
        self.attempt(run_id, job_id, [*actions, end])

    def attempt(self, run_id, job_id, script):
        self.scripts.append((run_id, script))
        with suppress(Death):
            run_attempt(
                self.root.path, run_id, AttemptContext("slurm", job_id, capture=False), lambda: None
            )
        self.scripts = [entry for entry in self.scripts if entry[1] is not script]

    def train(self, config, folder, options, observer, writer):
        """Stand in for the trainer: what `script` says, then on to the end."""
        run_id, script = self.scripts[-1]
        saved = folder / "checkpoints" / "state.json"
        state = read_json(saved) or {"step": 0, "value": config.seed}
        observer.started(state["step"], TOTAL, True)

        def step():
            if state["step"] < TOTAL:
                observer.measured(state["step"], 0, {"loss": float(state["value"])}, 1.0)
                state.update(
                    step=state["step"] + 1, value=(state["value"] * 31 + state["step"] + 7) % 997
                )

        def save():
            observer.before_write()
            make_folder(saved.parent)
            write_json(saved, state)
            observer.checkpointed(state["step"])

        for action in script:
            if action == "step":
                step()
            elif action == "save":
                save()
            elif action == "other" and len(self.scripts) < 3:
                self.attempt(run_id, "9_9", ["step", "save", "step", "finish"])
            elif action == "die":
                raise Death
            elif action == "stop":
                save()
                return Result("stopped", state["step"], reason="asked to")
        while state["step"] < TOTAL:
            step()
        observer.before_write()
        make_folder(folder / "evaluations")
        accuracy = {"protocol": "knn", "version": 1, "online": {"accuracy": state["value"] / 997}}
        write_json(folder / "evaluations" / "knn-v1.json", accuracy)
        return Result("ok", TOTAL, {}, {"std_sqrt_d": float(state["value"])})

    # Looking, and time

    @rule()
    def look(self):
        assert collect(self.root, self.engine, look_at_queue(self.root)) == []

    @rule(seconds=st.sampled_from([-5000.0, -10.0, 1.0, 20.0, 100_000.0]))
    def clock_jumps(self, seconds):
        self.clock += seconds

    # What always holds

    @invariant()
    def results_are_right_and_stay(self):
        for run in self.root.runs():
            seed = run.read_description()["config"]["seed"]
            for attempt in run.attempts():
                for record in RecordReader(attempt.events):
                    if record["type"] == "metrics":
                        assert record["metrics"] == {"loss": value_after(seed, record["step"])}
            attempts = run.attempts()
            if attempts and attempts[-1].done.exists():
                done = read_json(attempts[-1].done)
                assert done["final"] == {"std_sqrt_d": value_after(seed, TOTAL)}
                assert self.accepted.setdefault(run.run_id, done) == done

    @invariant()
    def no_run_has_two_jobs_that_may_start(self):
        runs = [job["run"] for job in self.slurm.jobs.values() if job["word"] != "HELD"]
        assert len(runs) == len(set(runs))

    def teardown(self):
        try:
            self.finish_everything()
        finally:
            self.patch.undo()
            self.engine.dispose()
            shutil.rmtree(self.folder)

    def finish_everything(self):
        """Launch and run until all is done: it always comes to an end, without orphans, and the
        index agrees.
        """
        for _ in range(12):
            self.launch("")
            for job_id in self.pending():
                self.run(job_id, ["finish"])
            self.clock += 20.0
        assert len(self.accepted_now()) == 2 and not self.slurm.jobs
        self.look()
        assert verify(str(self.folder / "results.db"), self.root, look_at_queue(self.root)) == (
            3,
            [],
        )

    def accepted_now(self):
        self.results_are_right_and_stay()
        return self.accepted


def after_a_jump_a_requeued_job_is_still_the_runs_job(store):
    store.launch("")
    store.clock_jumps(-5000.0)
    for job_id in store.pending():
        store.run(job_id, ["step", "save", "die"], comes_back=True)


def after_a_jump_the_second_submission_is_the_newer(store):
    store.launch("")
    for job_id in store.pending():
        store.run(job_id, ["step", "save", "die"])
    store.clock_jumps(-5000.0)
    store.launch("")


def after_a_jump_an_answer_of_sbatch_is_lost(store):
    store.launch("")
    for job_id in store.pending():
        store.run(job_id, ["die"])
    store.clock_jumps(-5000.0)
    store.launch("silent")


def after_a_jump_a_stopped_job_comes_back_beside_a_lost_answer(store):
    store.launch("")
    store.clock_jumps(-5000.0)
    store.look()
    for job_id in store.pending():
        store.run(job_id, ["stop"], comes_back=True)
    store.launch("silent")


SHRUNK = [
    after_a_jump_a_requeued_job_is_still_the_runs_job,
    after_a_jump_the_second_submission_is_the_newer,
    after_a_jump_an_answer_of_sbatch_is_lost,
    after_a_jump_a_stopped_job_comes_back_beside_a_lost_answer,
]


@pytest.mark.parametrize("order", SHRUNK, ids=lambda order: order.__name__)
def test_orders_that_once_failed(order):
    store = Store()
    order(store)
    for _ in range(2):  # what is gone is believed after a while
        store.clock_jumps(20.0)
        store.look()
        store.launch("")
        store.results_are_right_and_stay()
        store.no_run_has_two_jobs_that_may_start()
    store.teardown()


SHORT = settings(
    max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
def test_the_store_holds_in_any_order_of_events():
    run_state_machine_as_test(Store, settings=SHORT)


@pytest.mark.exhaustive
@pytest.mark.timeout(1500)
def test_the_store_holds_in_any_order_of_more_events():
    run_state_machine_as_test(
        Store, settings=settings(SHORT, max_examples=300, stateful_step_count=30)
    )
