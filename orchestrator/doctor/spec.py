"""Checks whether a spec can be launched here: its data above all."""

from orchestrator.doctor.finding import Finding, fail, ok
from orchestrator.errors import SweepError
from orchestrator.launch.plan import make_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import Sweep
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root


def check_spec(sweep: Sweep, root: Root) -> Finding:
    """Plan the sweep without a queue: variants, tables and data are checked on the way."""
    try:
        plan = make_plan(sweep, root, Selection(), Queue())
    except SweepError as error:
        return fail("spec", str(error), "the text says how; then run the doctor again")
    data = sorted({run.variant.config.dataset.name for run in plan.runs})
    return ok("spec", f"{sweep.label}: {len(plan.runs)} runs, data {', '.join(data)} is there")
