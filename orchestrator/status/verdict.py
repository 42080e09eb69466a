"""Is it going well? The first line of a status: one word for the sweep, and the counts behind it."""

from collections import Counter
from enum import StrEnum

from orchestrator.status.sweep_status import DONE, FAILED, GROUPS, PENDING, RUNNING, SweepStatus
from orchestrator.text import duration


class Health(StrEnum):
    """How a sweep stands, from best to worst."""

    DONE = "done"
    WELL = "going well"
    QUEUED = "queued"
    WAITS = "waits for you"
    TROUBLE = "trouble"


def verdict(status: SweepStatus, launcher_at_work: bool = False) -> Health:
    """Judge a sweep by where its runs are.

    Args:
        status: of the sweep.
        launcher_at_work: a launcher holds the root, and will start what is planned.
    """
    groups = status.groups()
    if groups[FAILED]:
        return Health.TROUBLE
    if status.all_done():
        return Health.DONE
    if groups[RUNNING] or launcher_at_work:
        return Health.WELL
    return Health.QUEUED if groups[PENDING] > status.waiting() else Health.WAITS


def summary(status: SweepStatus) -> str:
    """Return the counts in one line: done, running, pending, failed, time left."""
    groups = status.groups()
    diverged = sum(run.outcome == "diverged" for run in status.runs)
    parts = [
        f"{groups[DONE]}/{len(status.runs)} done" + (f" ({diverged} diverged)" if diverged else "")
    ]
    parts += [_counted(status, group) for group in GROUPS if group != DONE and groups[group]]
    return ", ".join(parts) + time_left(status)


def time_left(status: SweepStatus) -> str:
    """Return `, about 3 h 10 min left (2 h 50 min to 3 h 40 min)`; empty where it cannot be told."""
    told = status.forecast
    if told.eta_s is None:
        return ""
    spread = (
        f" ({duration(told.range_s[0])} to {duration(told.range_s[1])})" if told.range_s else ""
    )
    return f", {'at least' if told.at_least else 'about'} {duration(told.eta_s)} left{spread}"


def _counted(status: SweepStatus, group: str) -> str:
    """Return `4 planned` where a group is in one state, `6 pending (4 planned, 2 lost)` where it is
    in several.
    """
    states = Counter(run.state.value.lower() for run in status.runs if run.group == group)
    counted = [f"{count} {state}" for state, count in states.items()]
    return counted[0] if len(counted) == 1 else f"{states.total()} {group} ({', '.join(counted)})"
