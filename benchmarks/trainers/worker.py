"""Is the process of one trainer: it builds it, then answers requests, a line of JSON each.

Started by ``turns``. Its standard output is the answers' alone.
"""

import json
import os
import sys
import time
from typing import Any, TextIO

import torch

from byol_core.config import ConfigError
from byol_core.device import DeviceError, limited_threads, pick_device
from trainers import probes
from trainers.cases import CASES, GROUP_NORM, MODES, OURS
from trainers.clocks import time_turn


def make(contestant: str) -> Any:
    """Return a trainer's class; the others' packages are imported only where they are wanted."""
    if contestant in (OURS, GROUP_NORM):
        from trainers.ours import Ours

        return Ours
    if contestant == "lightly":
        from trainers.lightly import Lightly

        return Lightly
    from trainers.solo_learn import SoloLearn

    return SoloLearn


class Worker:
    """Holds a trainer and answers what is asked of it.

    Args:
        assignment: case, contestant and the benchmark's options.
    """

    def __init__(self, assignment: dict[str, Any]) -> None:
        self.device = pick_device(assignment["device"])
        self.precision = assignment["precision"]
        case = CASES[assignment["case"]].sized(
            assignment["batch"], assignment["side"], self.device.type == "cuda"
        )
        contestant = make(assignment["contestant"])
        imported_at = time.time()
        self.trainer = contestant(case, assignment["contestant"], assignment, self.device)
        built_at = time.time()
        with self.trainer.turn("step") as step:
            float(step())
        self.started = {
            "process and imports": imported_at - assignment["spawned_at"],
            "networks": built_at - imported_at,
            "first step": time.time() - built_at,
        }

    def ready(self) -> dict[str, Any]:
        """Return what is known before the first turn."""
        return {
            "start_s": self.started,
            "parameters": self.trainer.parameters(),
            "batch": self.trainer.batch,
            "version": self.trainer.version,
            "machine": probes.machine(self.device),
        }

    def turn(self, mode: str, seconds: float) -> dict[str, float]:
        """Return a timed turn."""
        with self.trainer.turn(mode) as step:
            return time_turn(step, seconds, self.device)

    def counts(self) -> dict[str, Any]:
        """Return what a step consists of, and the memory so far."""
        memory = probes.peak_memory(self.device)
        with self.trainer.turn("plain") as step:
            flops = probes.flops_of(step)
        kernels = {mode: self._kernels(mode) for mode in MODES}
        return {"flops": flops, "kernels": kernels, "memory": memory}

    def _kernels(self, mode: str) -> dict[str, int]:
        """Return what a step starts that is not one in ten, which is measured too."""
        with self.trainer.turn(mode) as step:
            step()
            counts = [probes.kernels_of(step, self.device) for _ in range(2)]
        return min(counts, key=lambda count: sum(count.values()))

    def peak(self) -> dict[str, float]:
        """Return the matrix peak."""
        return probes.matrix_peak(self.device, self.precision)

    def phases(self, steps: int) -> dict[str, Any]:
        """Return what each phase takes."""
        return dict(self.trainer.phases(steps))


def answer(worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a request; what does not fit into memory is an answer."""
    try:
        result: dict[str, Any] = getattr(worker, request.pop("do"))(**request)
    except torch.OutOfMemoryError:
        return {"error": "out of memory"}
    return result


def main(answers: TextIO) -> None:
    """Build, then answer until the requests end."""
    assignment = json.loads(sys.argv[1])
    with limited_threads(assignment["threads"]):
        try:
            worker = Worker(assignment)
        except torch.OutOfMemoryError:
            print(json.dumps({"error": "out of memory"}), file=answers, flush=True)
            return
        except (ImportError, ValueError, ConfigError, DeviceError) as error:
            print(json.dumps({"error": str(error)}), file=answers, flush=True)
            return
        print(json.dumps(worker.ready()), file=answers, flush=True)
        for line in sys.stdin:
            reply = answer(worker, json.loads(line))
            print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w") as stream:
        os.dup2(2, 1)  # what libraries print is no answer
        main(stream)
