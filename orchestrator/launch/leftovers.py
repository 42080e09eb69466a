"""Runs of a launcher that died on this machine: they are just leaving, so a new launch waits for
their checkpoints.
"""

import time
from dataclasses import replace

from orchestrator.launch.plan import Plan, PlannedRun, make_plan
from orchestrator.launch.requests import ResourceRequests
from orchestrator.launch.selection import Selection
from orchestrator.machine.processes import Process, is_alive
from orchestrator.slurm.queue import look_at_queue
from orchestrator.spec import Sweep
from orchestrator.store.root import Root

_LEAVING_S = 30.0


def settled_plan(
    sweep: Sweep, root: Root, selection: Selection, requests: ResourceRequests
) -> Plan:
    """Plan; where runs of a launcher that died on this machine are just leaving, wait for their
    checkpoints first.
    """
    deadline_s = time.monotonic() + _LEAVING_S
    while True:
        plan = make_plan(sweep, root, selection, look_at_queue(root), requests)
        if not any(_is_leaving(root, run) for run in plan.active):
            return plan
        if time.monotonic() > deadline_s:
            return _overtake(plan, root)
        time.sleep(0.2)


def _is_leaving(root: Root, run: PlannedRun) -> bool:
    """Tell whether a local process runs it: we hold the launcher's lock, so its launcher is dead
    and it will stop.
    """
    from byol_core.files import read_json

    attempts = root.run(run.run_id).attempts()
    claim = read_json(attempts[-1].claim) if attempts else None
    return (
        claim is not None
        and claim["job"]["executor"] != "slurm"
        and is_alive(Process(**claim["process"])) is True
    )


def _overtake(plan: Plan, root: Root) -> Plan:
    """Start anew what did not leave in time: the new attempt fences the old one off."""
    stuck = [run for run in plan.active if _is_leaving(root, run)]
    active = [run for run in plan.active if run not in stuck]
    return replace(plan, start=[*plan.start, *stuck], active=active)
