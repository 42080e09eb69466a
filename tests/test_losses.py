"""Which losses speak against a run: real processes of this machine die by real signals."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import REPO
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.errors import StoreError
from orchestrator.executors import losses
from orchestrator.executors.interrupts import Interrupts
from orchestrator.executors.local import Slot, run_local
from orchestrator.executors.worker import AttemptContext
from orchestrator.launch.plan import make_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.store.exit_codes import of_process
from orchestrator.store.jobs import Queue
from orchestrator.store.retry import idle_attempts
from orchestrator.store.standing import last_word, standing
from orchestrator.store.state import State

LAUNCHER = """\
import multiprocessing.context as context
import sys
from pathlib import Path
context.ForkServerContext.set_forkserver_preload = lambda *_: None  # no torch: they die before it
from orchestrator.executors.interrupts import Interrupts
from orchestrator.executors.local import Slot, run_local
from orchestrator.executors.worker import AttemptContext
if __name__ == "__main__":
    root, *run_ids = sys.argv[1:]
    slots = [Slot("cpu", 1)] * 2
    context = AttemptContext("local", device="cpu")
    with Interrupts() as interrupts:
        run_local(Path(root), run_ids, context, slots, interrupts, lambda: None)
"""


def until(condition, patience_s=30):
    deadline_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def claimed(run, number):
    return run.attempt(number).claim.exists()


def test_kill_9_of_the_whole_launch_speaks_against_no_run(root, spec_file, tmp_path):
    script = tmp_path / "launcher.py"
    script.write_text(LAUNCHER)
    runs = root.runs()[:2]
    command = [sys.executable, script, root.path, *[run.run_id for run in runs]]
    for number in (1, 2, 3):
        launcher = subprocess.Popen(command, start_new_session=True)
        until(lambda number=number: all(claimed(run, number) for run in runs))
        os.killpg(launcher.pid, signal.SIGKILL)
        launcher.wait()

    until(lambda: {standing(run, Queue()).state for run in runs} == {State.LOST})
    assert [len(run.attempts()) for run in runs] == [3, 3]
    plan = make_plan(load_sweep(spec_file()), root, Selection(), Queue())
    assert plan.held_back == [] and len(plan.start) == 4


@pytest.fixture
def crashing(root, run, monkeypatch):
    """Run `run` here, and have its worker die of a signal as soon as it has claimed."""
    monkeypatch.setattr(
        "multiprocessing.context.ForkServerContext.set_forkserver_preload", lambda *_: None
    )
    monkeypatch.setattr(losses, "_OUTLIVED_S", 0.05)

    def crash(number, with_interrupt=False):
        context = AttemptContext("local", device="cpu")
        with Interrupts() as interrupts:

            def tick():
                attempts = run.attempts()
                if len(attempts) == number and attempts[-1].read_lost() is None:
                    if with_interrupt:
                        interrupts.stop("the machine shuts down")
                    if standing(run, Queue()).state == State.RUNNING:
                        os.kill(attempts[-1].read_claim()["process"]["pid"], number_of(number))

            run_local(root.path, [run.run_id], context, [Slot("cpu", 1)], interrupts, tick)

    return crash


def number_of(number):
    return (signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT)[number - 1]


def test_a_worker_that_crashes_three_times_is_held_back_and_the_plan_says_why(
    crashing, root, run, spec_file, tmp_path
):
    for number in (1, 2, 3):
        assert idle_attempts(run, State.LOST) == number - 1
        crashing(number)
        assert run.attempt(number).read_lost()["exit_status"] == -number_of(number)

    plan = make_plan(load_sweep(spec_file()), root, Selection(), Queue())
    assert [planned.run_id for planned in plan.held_back] == [run.run_id]
    again = make_plan(
        load_sweep(spec_file()), root, Selection(retry=frozenset({State.LOST})), Queue()
    )
    assert again.held_back == []

    options = ["launch", str(spec_file()), "--dry-run", "--executor", "local"]
    shown = CliRunner().invoke(app, ["--root", str(root.path), *options]).stdout
    assert "1 ended without a result; --retry lost tries them again" in shown
    assert "died of SIGABRT; held back: lost three times before it left" in shown

    # Status advises no launch that would leave it where it is.
    database = ["--root", str(root.path), "--db", str(tmp_path / "results.db")]
    status = json.loads(CliRunner().invoke(app, [*database, "status", "--json"]).stdout)
    (told,) = (r for r in status["sweeps"][0]["runs"] if r["run_id"] == run.run_id)
    assert told["group"] == "failed" and status["sweeps"][0]["waiting"] == 3
    assert told["why"].endswith("before it left a checkpoint: --retry lost"), told["why"]


def test_a_worker_that_dies_while_the_launch_is_stopped_is_not_written_down(crashing, run):
    crashing(1, with_interrupt=True)
    assert standing(run, Queue()).state == State.LOST and run.attempt(1).read_lost() is None


def test_a_process_that_ended_is_put_in_words():
    assert of_process(-9) == "was killed (SIGKILL), perhaps for its memory"
    assert of_process(-11) == "died of SIGSEGV" and of_process(-99) == "died of signal 99"
    assert of_process(3) == "ended with exit status 3 and without a word"


def test_runs_go_on_when_the_working_folder_is_deleted(root, run, tmp_path):
    """With absolute paths, each attempt is made all the same."""
    script = tmp_path / "launcher.py"
    gone = "    os.rmdir(os.getcwd())\n    root, *run_ids"
    script.write_text("import os\n" + LAUNCHER.replace("    root, *run_ids", gone))
    folder = tmp_path / "deleted"
    folder.mkdir()
    run.description.write_text("{}")  # it ends at once, with its last word
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    command = [sys.executable, script, root.path, run.run_id]
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=60)
    assert not folder.exists() and len(run.attempts()) == 1
    assert last_word(run.last_attempt())["state"] == State.FAILED


def test_a_fork_server_that_died_is_one_clear_error(root, run, monkeypatch):
    def die(_):
        raise EOFError

    monkeypatch.setattr("multiprocessing.context.ForkServerProcess.start", die)
    context = AttemptContext("local", device="cpu")
    with Interrupts() as interrupts, pytest.raises(StoreError, match="run the same command again"):
        slots = [Slot("cpu", 1)]
        run_local(root.path, [run.run_id], context, slots, interrupts, lambda: None)
