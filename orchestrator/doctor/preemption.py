"""What happens to a run that SLURM takes its node from: how it is warned, how long it has, whether
it comes back.
"""

import re
from collections.abc import Iterator, Mapping

from orchestrator.doctor.finding import Finding, ok, warn

CHECKPOINT_S = 30.0
"""What a step and a checkpoint of a large encoder together may take; ResNet-50 with LARS state
writes about 400 MB.
"""
_PREEMPTING = (
    ("SlurmctldParameters", "preempt_send_user_signal"),
    ("PreemptParameters", "send_user_signal"),
)


def check_preemption(
    config: Mapping[str, str], partitions: Mapping[str, Mapping[str, str]]
) -> Iterator[Finding]:
    """Look at mode, signal, requeueing and the time left to a preempted run."""
    yield mode(config, partitions)
    yield user_signal(config)
    yield requeue(config)
    yield grace(config, partitions)


def mode(config: Mapping[str, str], partitions: Mapping[str, Mapping[str, str]]) -> Finding:
    """Say whether jobs are preempted at all, and what SLURM does with them then."""
    if config.get("PreemptType", "") in ("preempt/none", "(null)", ""):
        return ok("preemption", "off: a job keeps its node until it ends")
    modes = ", ".join(
        f"{name} {one['PreemptMode']}" for name, one in partitions.items() if "PreemptMode" in one
    )
    text = f"{config['PreemptType']}, {config.get('PreemptMode', 'unknown')}" + (
        f" (partitions: {modes})" if modes else ""
    )
    if "SUSPEND" in text:
        return warn(
            "preemption",
            text,
            "a suspended run keeps its memory and goes on later; it counts as running",
        )
    if "CANCEL" in text:
        return warn(
            "preemption",
            text,
            "a cancelled job does not come back: run `sweep launch` again, or let --wait do it",
        )
    return ok("preemption", text)


def user_signal(config: Mapping[str, str]) -> Finding:
    """Say whether a preempted run hears SIGUSR2 before SIGTERM."""
    if any(word in config.get(key, "") for key, word in _PREEMPTING):
        return ok(
            "signal", "SIGUSR2, then SIGTERM: a preempted run writes a checkpoint at the first"
        )
    return ok("signal", "SIGTERM alone: a preempted run writes a checkpoint within the grace time")


def requeue(config: Mapping[str, str]) -> Finding:
    """Say who brings a preempted run back."""
    if config.get("JobRequeue") == "0":
        return warn(
            "requeue",
            "JobRequeue=0: jobs are not requeued unless they ask",
            "run `sweep launch` again, or --wait",
        )
    return ok("requeue", "allowed: a preempted run comes back by itself")


def grace(config: Mapping[str, str], partitions: Mapping[str, Mapping[str, str]]) -> Finding:
    """Compare the seconds between the first signal and SIGKILL with what a checkpoint takes."""
    kill_wait_s = _seconds(config.get("KillWait", ""))
    preempted = {name: one for name, one in partitions.items() if one.get("PreemptMode") != "OFF"}
    times = {
        name: _seconds(one.get("GraceTime", "")) + kill_wait_s for name, one in preempted.items()
    }
    text = (
        "; ".join(f"{name} {seconds:g} s" for name, seconds in times.items())
        or f"{kill_wait_s:g} s (KillWait)"
    )
    if config.get("PreemptType", "preempt/none") == "preempt/none":
        return ok("time to leave", f"{kill_wait_s:g} s after SIGTERM (KillWait)")
    if min(times.values(), default=kill_wait_s) < CHECKPOINT_S:
        fix = (
            f"a step and a checkpoint may take {CHECKPOINT_S:g} s; at worst a run repeats what "
            "came after its last one"
        )
        return warn("time to leave", f"from signal to SIGKILL: {text}", fix)
    return ok("time to leave", f"from signal to SIGKILL: {text}")


def _seconds(text: str) -> float:
    """Return the seconds of `30 sec`, `10` or `00:02:00`; 0 where there are none."""
    if ":" in text:
        hours, minutes, seconds = ([0, 0, 0] + [int(part) for part in re.findall(r"\d+", text)])[
            -3:
        ]
        return hours * 3600 + minutes * 60 + seconds
    number = re.match(r"\d+", text)
    return float(number[0]) if number else 0.0
