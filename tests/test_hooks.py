"""What a sweep's end tells the outside: a command and a webhook, called once, whose failures are
warnings.
"""

import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from orchestrator.launch import on_end
from orchestrator.launch.on_end import VARIABLE, fire, outcome
from orchestrator.launch.on_fail import FailureHook
from orchestrator.status.run_status import RunStatus
from orchestrator.status.sweep_status import SweepStatus
from orchestrator.store.state import State

DONE = SweepStatus(
    "demo",
    0.0,
    runs=[
        RunStatus("a" * 64, "byol", 0, State.COMPLETED),
        RunStatus("b" * 64, "byol", 1, State.OOM),
    ],
)


@contextmanager
def listener(status=200):
    """A server on loopback; yields its address and what it was sent."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook/secret-token", received
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_outcome_says_it_in_words_and_in_numbers():
    told = outcome(DONE, 1)
    assert (
        told["text"] == "demo: 1/2 done, 1 oom" and told["ok"] is False and told["exit_status"] == 1
    )
    assert told["groups"] == {"done": 1, "running": 0, "pending": 0, "failed": 1}
    assert outcome(DONE, 1, "its first runs failed")["text"].endswith("(its first runs failed)")


def test_both_hooks_get_the_same_json(tmp_path):
    with listener() as (url, received):
        assert list(fire(outcome(DONE, 0), f"cat > {tmp_path / 'told'}", {VARIABLE: url})) == []
    assert received == [json.loads((tmp_path / "told").read_text())] == [outcome(DONE, 0)]


def test_without_hooks_nothing_is_called():
    assert list(fire(outcome(DONE, 0), None, {})) == []


FAILING = {
    "a server that refuses": lambda url: (None, {VARIABLE: url}),
    "nobody there": lambda _: (None, {VARIABLE: "http://127.0.0.1:9/hook/secret-token"}),
    "no address": lambda _: (None, {VARIABLE: "file:///etc/passwd?secret-token"}),
    "not even a URL": lambda _: (None, {VARIABLE: "http://[secret-token"}),
    "a command that fails": lambda _: ("echo away >&2; exit 3", {}),
    "no such command": lambda _: ("/no/such/command", {}),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_hook_that_fails_is_one_warning_without_the_secret(name):
    with listener(status=500) as (url, _):
        command, environment = FAILING[name](url)
        (warning,) = fire(outcome(DONE, 0), command, environment)
    assert "secret-token" not in warning and "not affected" in warning


def test_a_command_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(on_end, "_COMMAND_S", 0.5)
    (warning,) = fire(outcome(DONE, 0), "sleep 20", {})
    assert "did not end within 0.5 s" in warning


def test_a_launch_calls_them_once_at_its_end(sweep, spec_file, tmp_path):
    command = f"cat >> {tmp_path / 'told'}"
    with listener() as (url, received):
        sweep(
            "launch",
            spec_file(),
            "--executor",
            "inline",
            "--seeds",
            "0",
            "--on-end",
            command,
            check=0,
            env={**os.environ, VARIABLE: url},
        )
    assert json.loads((tmp_path / "told").read_text()) == received[0] and len(received) == 1
    assert received[0]["text"].startswith("tiny: 2/4 done") or received[0]["text"].startswith(
        "tiny: 2/2 done"
    )
    everything = [file for file in (tmp_path / "sweep-runs").rglob("*") if file.is_file()]
    assert everything and not [file for file in everything if b"secret-token" in file.read_bytes()]


def test_a_launch_that_does_not_wait_says_that_nobody_will_call(
    fake_slurm, sweep, spec_file, tmp_path
):
    done = sweep(
        "launch",
        spec_file(),
        "--executor",
        "slurm",
        "--on-end",
        f"touch {tmp_path / 'called'}",
        check=0,
    )
    assert "add --wait or --controller" in done.stderr and not (tmp_path / "called").exists()


def test_on_fail_is_told_once_of_each_kind_of_failure_that_is_new(tmp_path):
    def failed(number, state, reason):
        return RunStatus(str(number) * 64, "byol", number, state, reason=reason)

    runs = [
        failed(0, State.FAILED, "an error of the launch before"),
        failed(1, State.FAILED, "ValueError: image 17 is damaged"),
        failed(2, State.FAILED, "ValueError: image 170 is damaged"),
        failed(3, State.OOM, "job 12_3 ended (out_of_memory)"),
        RunStatus("4" * 64, "byol", 4, State.RUNNING),
    ]
    hook = FailureHook(f"cat >> {tmp_path / 'told'}; echo >> {tmp_path / 'told'}", {"0" * 64})
    hook.look(SweepStatus("demo", 0.0, runs=runs[:2]))
    hook.look(SweepStatus("demo", 0.0, runs=runs))
    assert list(hook.close()) == []
    lines = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    assert [(line["seed"], line["state"]) for line in lines] == [(1, "FAILED"), (3, "OOM")]
    assert lines[0]["text"] == "demo: byol seed 1 FAILED: ValueError: image 17 is damaged"


def test_an_on_fail_that_fails_is_a_warning():
    hook = FailureHook("exit 4")
    hook.look(DONE)
    (warning,) = hook.close()
    assert "--on-fail: 'exit 4' failed with exit status 4" in warning and "not affected" in warning


def test_a_launch_tells_of_a_run_that_fails_at_its_very_end(
    sweep, spec_file, damaged_npz, tmp_path
):
    base = f"{{preset: digits-tiny, dataset.name: arrays, dataset.path: {damaged_npz}}}"
    file = spec_file(("{preset: digits-tiny, epochs: 2, dataset.limit: 256, batch_size: 64}", base))
    told = tmp_path / "told"
    arguments = ["launch", file, "--executor", "inline", "--on-fail", f"cat >> {told}"]
    sweep(*arguments, check=1)
    assert json.loads(told.read_text())["reason"].startswith("DataError: ")

    told.unlink()
    sweep(*arguments, check=1)  # it is known: nothing failed in this launch
    assert not told.exists()
