"""Tells in the first line of a status how a sweep goes: one word, and the counts behind it."""

from collections import Counter
from enum import StrEnum

from orchestrator.status.run_status import DONE, FAILED, GROUPS, PENDING, RUNNING
from orchestrator.status.sweep_status import SweepStatus
from orchestrator.text import duration


class Health(StrEnum):
    """Says how a sweep stands, from best to worst."""

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
    if status.stuck():
        return Health.WAITS
    if groups[RUNNING] or launcher_at_work:
        return Health.WELL
    if groups[PENDING] > status.waiting():
        return Health.QUEUED
    return Health.WAITS


def summary(status: SweepStatus) -> str:
    """Return the counts in one line: done, running, pending, failed, time left."""
    groups = status.groups()
    done = f"{groups[DONE]}/{len(status.runs)} done"
    diverged = sum(run.outcome == "diverged" for run in status.runs)
    if diverged:
        done += f" ({diverged} diverged)"
    others = [_counted(status, group) for group in GROUPS if group != DONE and groups[group]]
    return ", ".join([done, *others]) + time_left(status)


def time_left(status: SweepStatus) -> str:
    """Return `, about 3 h 10 min left (2 h 50 min to 3 h 40 min)`; empty where nothing tells."""
    forecast = status.forecast
    if forecast.eta_s is None:
        return ""
    if forecast.at_least:
        return f", at least {duration(forecast.eta_s)} left"
    text = f", about {duration(forecast.eta_s)} left"
    if forecast.range_s is None:
        return text
    shortest_s, longest_s = forecast.range_s
    return f"{text} ({duration(shortest_s)} to {duration(longest_s)})"


def _counted(status: SweepStatus, group: str) -> str:
    """Return `4 planned` for a group in one state, `6 pending (4 planned, 2 lost)` for several."""
    states = Counter(run.state.value.lower() for run in status.runs if run.group == group)
    counted = [f"{count} {state}" for state, count in states.items()]
    if len(counted) == 1:
        return counted[0]
    return f"{states.total()} {group} ({', '.join(counted)})"
