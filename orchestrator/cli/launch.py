"""Holds `sweep launch`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.arguments import assignment, names, seed_numbers
from orchestrator.cli.complete import (
    complete_assignments,
    complete_profiles,
    complete_specs,
    complete_states,
    complete_tables,
    listed,
)
from orchestrator.cli.console import make_console
from orchestrator.cli.context import Places, collected, database_for, near, open_to_group
from orchestrator.errors import SchedulerError, UsageError
from orchestrator.store.root import Root
from orchestrator.text import plain

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.launch.launch import LaunchResult
    from orchestrator.launch.options import LaunchOptions
    from orchestrator.launch.progress import LaunchView
    from orchestrator.spec import Sweep
    from orchestrator.status.sweep_status import SweepStatus


def launch(
    context: typer.Context,
    spec: Annotated[
        Path,
        typer.Argument(
            help="The sweep's YAML file, e.g. sweeps/norm_ablation.yaml.",
            autocompletion=complete_specs,
        ),
    ],
    profile: Annotated[
        str | None,
        typer.Option(
            help="Named changes in the spec, e.g. quick.", autocompletion=complete_profiles
        ),
    ] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a key of all runs; `sweep keys` lists them.",
            autocompletion=complete_assignments,
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            help="Only the variants that are rows of this table.", autocompletion=complete_tables
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds instead of the spec's, e.g. 0,1,2.")
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            help="auto, slurm, local or inline.",
            autocompletion=listed("auto", "slurm", "local", "inline"),
        ),
    ] = "auto",
    slots: Annotated[
        int | None, typer.Option(min=1, help="How many runs at once; default: one per GPU or core.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="Whose defaults in clusters.yaml count; default: SLURM's name."),
    ] = None,
    retry: Annotated[
        str,
        typer.Option(
            help="Also try again what ended so, e.g. failed,oom.", autocompletion=complete_states
        ),
    ] = "",
    only: Annotated[
        str | None, typer.Option(help="Only these variants, e.g. byol,no_norm.")
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Try: train so many steps and keep no result.")
    ] = None,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Train again what is done already.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Cancel the jobs of variants that left the spec.")
    ] = False,
    group: Annotated[
        str | None,
        typer.Option(
            envvar="SWEEP_GROUP", metavar="NAME", help="Let this group read root and database."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    wait: Annotated[
        bool | None,
        typer.Option("--wait/--no-wait", help="On SLURM: follow the sweep to its end, or return."),
    ] = None,
    controller: Annotated[
        bool, typer.Option("--controller", help="On SLURM: a job of one CPU does the waiting.")
    ] = False,
    queue: Annotated[
        bool, typer.Option("--queue", help="Wait while another launcher works on this root.")
    ] = False,
    on_fail: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Run this at the first failure of each kind, with it as JSON on stdin.",
        ),
    ] = None,
    on_end: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Run this when the sweep ends, with its outcome as JSON on stdin.",
        ),
    ] = None,
) -> None:
    """Start what a spec asks for and is not there yet.

    Run it again at any time: what is done is kept, what was interrupted goes on.

    Example: sweep launch sweeps/norm_ablation.yaml --profile quick --executor local
    """
    from orchestrator.launch.options import LaunchOptions, check_alone, parse_retry
    from orchestrator.launch.progress import LaunchView
    from orchestrator.launch.selection import Selection
    from orchestrator.launch.terminal import show_plan_runs
    from orchestrator.spec import load_sweep

    # What contradicts itself is refused before anything is read.
    if max_steps is not None:
        others: dict[str, object] = {"--dry-run": dry_run, "--wait": wait}
        others |= {"--controller": controller, "--on-end": on_end, "--on-fail": on_fail}
        others |= {"--rerun": rerun, "--prune": prune, "--queue": queue}
        others["--retry"] = retry
        others["--executor slurm"] = executor == "slurm"
        check_alone("--max-steps", others, "it trains here at once and keeps nothing; drop one")
    if controller:
        others = {"--dry-run": dry_run, "--no-wait": wait is False}
        check_alone("--controller", others, "it sends a job that launches and waits; drop one")

    sweep = load_sweep(spec, profile, dict(assignment(text) for text in assign or []))
    selection = Selection(seed_numbers(seeds), table, names(only), parse_retry(retry))
    places: Places = context.obj
    console = make_console()

    # Two options do something else than a launch.
    if max_steps is not None:
        from orchestrator.launch.max_steps import train_few_steps

        raise typer.Exit(train_few_steps(sweep, places.root, selection, max_steps, print))
    if controller:
        return _send_controller(places.root, sweep, executor, cluster)

    # The group comes before the first file that it is to read.
    if group is not None and not dry_run:
        open_to_group(places.root, group)
    options = LaunchOptions(
        sweep, selection, executor, slots, cluster, rerun, prune, dry_run, wait, queue
    )
    database = database_for(places, dry_run)
    with LaunchView(console, sweep.label, places.root, database, on_fail) as view:
        done = _start(places.root, options, view)

    if dry_run:
        return show_plan_runs(console, done.plan)
    for hook in {"--on-fail": on_fail, "--on-end": on_end}.items():
        _warn_of_idle_hook(*hook, done)
    exit_status = _conclude(places, console, sweep.label, done, on_end)
    if done.sent.refusal is not None:
        raise SchedulerError(done.sent.refusal)
    raise typer.Exit(exit_status)


def _start(root: Root, options: "LaunchOptions", view: "LaunchView") -> "LaunchResult":
    """Launch; where SLURM was chosen automatically and fails, name the way around it."""
    from orchestrator.launch.launch import launch as start

    try:
        return start(options, root, view.reporter())
    except SchedulerError as error:
        if options.executor != "auto":
            raise
        raise SchedulerError(f"{error}; to run on this machine instead: --executor local") from None


def _conclude(
    places: Places, console: "Console", label: str, done: "LaunchResult", on_end: str | None
) -> int:
    """Say what came of a launch, to the command of --on-end too; return the exit status."""
    from orchestrator.launch.terminal import show_outcome, show_sent
    from orchestrator.status.sweep_status import sweep_statuses

    if not done.waited:
        show_sent(console, done.sent)
        return 0

    status = next(iter(sweep_statuses(collected(places, wait=True), label)))
    exit_status = show_outcome(console, status, done)
    _tell(status, done, exit_status, on_end)
    return exit_status


def _warn_of_idle_hook(option: str, command: str | None, done: "LaunchResult") -> None:
    """Say that nobody will be there to call a hook."""
    if command and not done.waited:
        print(
            f"warning: {option} is called by a launch that waits: add --wait or --controller",
            file=sys.stderr,
        )


def _tell(
    status: "SweepStatus", done: "LaunchResult", exit_status: int, on_end: str | None
) -> None:
    """Tell the outside that the sweep has ended, where this launch has seen it end."""
    from orchestrator.launch.on_end import fire, outcome

    if not done.interrupted:
        for warning in fire(outcome(status, exit_status, done.stopped), on_end):
            print(f"warning: {plain(warning)}", file=sys.stderr)


def _send_controller(root: Root, sweep: "Sweep", executor: str, cluster: str | None) -> None:
    """Have this very command run as a job, waiting."""
    from orchestrator.launch.options import check_path, choose_executor
    from orchestrator.provenance.origin import record_code
    from orchestrator.provenance.snapshot import take_snapshot
    from orchestrator.slurm.controller import submit_controller
    from orchestrator.slurm.limits import ask_controller
    from orchestrator.spec.clusters import cluster_defaults
    from orchestrator.store.locks import launcher_lock

    if choose_executor(executor) != "slurm":
        raise UsageError(
            "--controller is a SLURM job and needs --executor slurm; "
            "on this machine a launch waits by itself"
        )

    check_path(root.path, "slurm")

    # It goes where the runs go.
    resources = sweep.spec.resources
    defaults = cluster_defaults(ask_controller().cluster, cluster)
    placement = {
        "partition": resources.partition or defaults.partition,
        "account": resources.account or defaults.account,
        "qos": resources.qos or defaults.qos,
    }

    # Another launcher is noticed now; otherwise the job would only meet it when it starts.
    words = [word for word in sys.argv[1:] if word != "--controller"]
    command = [*words, "--wait", "--executor", "slurm"]
    root.create()
    with launcher_lock(root):
        folder = root.sweep(sweep.label).launches
        record_code(root)
        job_id = submit_controller(
            folder, f"sweep-controller-{sweep.label}", command, placement, take_snapshot(root)
        )
    print(
        f"controller is SLURM job {job_id}: it plans, submits and waits; scancel {job_id} ends it "
        "and leaves the runs alone"
    )
    print(f"its output: {near(folder / f'controller-{job_id}.out')}")
