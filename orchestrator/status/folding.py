"""Keeps `sweep status` short where a spec was launched with many small changes.

A launch with --set is a sweep of its own. Of these the newest is shown whole, if nothing of its
spec was launched after it; the others are a line each, below their spec's sweep. What has been
over for a week is counted alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from orchestrator.status.run_status import PENDING, RUNNING
from orchestrator.status.sweep_status import SweepStatus
from orchestrator.status.verdict import summary
from orchestrator.text import assignments, counted, plain

_SHOWN_LINES = 8
_OLD_S = 7 * 24 * 3600.0


@dataclass
class Family:
    """Holds the sweeps of one spec and profile.

    Attributes:
        label: of the spec's own sweep, without overrides.
        whole: the sweeps that are shown whole.
        folded: those that are a line each, newest first.
        old: how many more have been over for a week.
    """

    label: str
    whole: list[SweepStatus] = field(default_factory=list)
    folded: list[SweepStatus] = field(default_factory=list)
    old: int = 0


def families(statuses: Sequence[SweepStatus], now: float) -> list[Family]:
    """Sort sweeps by the spec that they come from.

    Args:
        statuses: newest first.
        now: seconds since 1970.
    """
    by_label: dict[str, Family] = {}
    for status in statuses:
        label = status.label.partition("+")[0]
        family = by_label.setdefault(label, Family(label))
        is_newest = not (family.whole or family.folded or family.old)
        if is_newest or not status.overrides:
            family.whole.append(status)
        elif _is_over(status) and now - status.launched_at > _OLD_S:
            family.old += 1
        else:
            family.folded.append(status)
    return list(by_label.values())


def fold_lines(family: Family) -> Iterator[str]:
    """Yield a line for each folded sweep, and one for those that are not named."""
    for status in family.folded[:_SHOWN_LINES]:
        changes = assignments(status.overrides)
        yield plain(f"{status.label}: {summary(status)}; with {changes}")
    hidden = len(family.folded[_SHOWN_LINES:]) + family.old
    if hidden:
        yield f"… and {counted(hidden, 'sweep')} of {family.label} more with --set: --all"


def _is_over(status: SweepStatus) -> bool:
    """Tell whether nothing of a sweep runs or will be tried without being asked for."""
    groups = status.groups()
    return groups[RUNNING] == groups[PENDING] == 0
