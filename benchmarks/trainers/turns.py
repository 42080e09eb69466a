"""Asks the trainers' processes, in turn: ours, another, ours, another, and so on."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

_BENCHMARKS = Path(__file__).resolve().parents[1]


class AnswerError(Exception):
    """Says why a trainer gave no answer."""


class Process:
    """Is a trainer in a process of its own.

    Args:
        assignment: what `worker.Worker` takes.
    """

    def __init__(self, assignment: dict[str, Any]) -> None:
        given = os.environ.get("PYTHONPATH")
        paths = [str(_BENCHMARKS), str(_BENCHMARKS.parent), *([given] if given else [])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        threads = assignment["threads"]
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        arguments = json.dumps({**assignment, "spawned_at": time.time()})
        self.errors = TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the process
        self.child = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "trainers.worker", arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
        )

    def ask(self, do: str, **request: Any) -> None:
        """Send a request, and do not wait."""
        assert self.child.stdin is not None
        self.child.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self.child.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Wait for an answer.

        Raises:
            AnswerError: the process has ended, or says why it can not.
        """
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if not line:
            raise AnswerError(f"its process ended with {self.child.wait()}: {self._last_line()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise AnswerError(answer["error"])
        return answer

    def call(self, do: str, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        self.ask(do, **request)
        return self.hear()

    def close(self) -> None:
        """End the process."""
        assert self.child.stdin is not None
        self.child.stdin.close()
        try:
            self.child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.errors.close()

    def _last_line(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


class Contestant:
    """Is one side of a comparison: as many processes of a trainer as run side by side."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self.processes = processes
        self.ready = [process.hear() for process in processes]

    def turn(self, mode: str, seconds: float) -> list[dict[str, float]]:
        """Have all of them take a turn at once."""
        for process in self.processes:
            process.ask("turn", mode=mode, seconds=seconds)
        return [process.hear() for process in self.processes]

    def call(self, do: str, **request: Any) -> dict[str, Any]:
        """Ask the first of them."""
        return self.processes[0].call(do, **request)


@contextmanager
def contestant(assignment: dict[str, Any], runs: int) -> Iterator[Contestant]:
    """Yield a contestant of so many runs side by side.

    Raises:
        AnswerError: it can not take part.
    """
    with ExitStack() as closing:
        processes: list[Process] = []
        for _ in range(runs):
            process = Process(assignment)
            closing.callback(process.close)
            processes.append(process)
        yield Contestant(processes)
