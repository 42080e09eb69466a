"""Waits for runs of a launcher that died on this machine: they stop by themselves.

They are just writing their checkpoints, which the new launch goes on from.
"""

import time
from dataclasses import replace

from orchestrator.launch.plan import Plan, PlannedRun, make_plan
from orchestrator.launch.requests import ResourceRequests
from orchestrator.launch.selection import Selection
from orchestrator.machine.processes import is_alive, named_process
from orchestrator.slurm.queue import look_at_queue
from orchestrator.spec import Sweep
from orchestrator.store.root import Root

_LEAVING_S = 30.0


def settled_plan(
    sweep: Sweep, root: Root, selection: Selection, requests: ResourceRequests
) -> Plan:
    """Make a plan once the runs of a launcher that died on this machine have stopped."""
    deadline_s = time.monotonic() + _LEAVING_S
    while True:
        plan = make_plan(sweep, root, selection, look_at_queue(root), requests)
        if not any(_is_leaving(root, run) for run in plan.active):
            return plan
        if time.monotonic() > deadline_s:
            return _overtake(plan, root)
        time.sleep(0.2)


def _is_leaving(root: Root, run: PlannedRun) -> bool:
    """Tell whether a process of this machine still works on a run.

    We hold the launcher's lock, so its launcher is dead and it will stop.
    """
    attempt = root.run(run.run_id).last_attempt()
    if attempt is None:
        return False
    claim = attempt.read_claim()
    if claim is None or claim["job"]["executor"] == "slurm":
        return False
    return is_alive(named_process(claim["process"])) is True


def _overtake(plan: Plan, root: Root) -> Plan:
    """Start anew what did not stop in time: the new attempt fences the old one off."""
    stuck = [run for run in plan.active if _is_leaving(root, run)]
    active = [run for run in plan.active if run not in stuck]
    return replace(plan, start=[*plan.start, *stuck], active=active)
