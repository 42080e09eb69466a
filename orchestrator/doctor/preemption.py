"""Checks what happens to a run that SLURM takes its node from.

How it is warned, how long it then has, and whether it comes back.
"""

from collections.abc import Iterator, Mapping

from orchestrator.doctor.finding import Finding, ok, warn
from orchestrator.slurm.durations import seconds_of

CHECKPOINT_S = 30.0
"""What a step and a checkpoint of a large encoder may take: ResNet-50 with LARS writes 400 MB."""

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
    text = f"{config['PreemptType']}, {config.get('PreemptMode', 'unknown')}"
    modes = [
        f"{name} {settings['PreemptMode']}"
        for name, settings in partitions.items()
        if "PreemptMode" in settings
    ]
    if modes:
        text += f" (partitions: {', '.join(modes)})"

    # A partition may have another mode than the cluster, so all of them are searched.
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
    kill_wait_s = seconds_of(config.get("KillWait", "")) or 0.0
    if config.get("PreemptType", "preempt/none") == "preempt/none":
        return ok("time to leave", f"{kill_wait_s:g} s after SIGTERM (KillWait)")

    # A partition's grace time comes before KillWait.
    times_s = {
        name: (seconds_of(settings.get("GraceTime", "")) or 0.0) + kill_wait_s
        for name, settings in partitions.items()
        if settings.get("PreemptMode") != "OFF"
    }
    times = "; ".join(f"{name} {time_s:g} s" for name, time_s in times_s.items())
    text = f"from signal to SIGKILL: {times or f'{kill_wait_s:g} s (KillWait)'}"

    if min(times_s.values(), default=kill_wait_s) < CHECKPOINT_S:
        fix = (
            f"a step and a checkpoint may take {CHECKPOINT_S:g} s; at worst a run repeats what "
            "came after its last one"
        )
        return warn("time to leave", text, fix)
    return ok("time to leave", text)
