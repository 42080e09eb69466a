"""Commands that look and change nothing: status, show, diff, logs."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from orchestrator.cli.places import Places, collected, near, write_out
from orchestrator.errors import UsageError
from orchestrator.root import PREFIX, RunFolder


def status(
    sweep: Annotated[str | None, typer.Argument(help="A sweep's name; all where left out.")] = None,
    state: Annotated[str | None, typer.Option(help="List the runs in this state; any for all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Print anew every few seconds.")] = False,
) -> None:
    """Show how far the sweeps are. Changes no run and no job."""
    from analysis.collapse import COLLAPSED_BELOW
    from orchestrator import screen
    from orchestrator.lock import is_held
    from orchestrator.states import State
    from orchestrator.status import as_json as to_json
    from orchestrator.status import sweep_statuses

    if state not in (None, "any", *(known.value.lower() for known in State)):
        raise UsageError(f"--state {state!r}; allowed: any, {', '.join(known.value.lower() for known in State)}")
    console = Console()
    while True:
        statuses = sweep_statuses(collected(), sweep)
        if watch and console.is_terminal:
            console.clear()
        if as_json:
            print(to_json(statuses))
        elif state is not None:
            screen.show_runs(console, statuses, state)
        elif statuses:
            screen.show_status(console, statuses, COLLAPSED_BELOW, is_held(Places.root))
        else:
            console.print("no sweeps yet; start one with: sweep launch sweeps/smoke.yaml", highlight=False)
        if not watch:
            return
        time.sleep(2)


def show(
    runs: Annotated[list[str], typer.Argument(help="First digits of run ids.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[
        str | None, typer.Option(metavar="METRIC", help="Lay a metric of the runs over each other, as PNG.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The PNG.")] = Path("plot.png"),
) -> None:
    """Show runs: settings, attempts, results; or plot a metric of them."""
    from orchestrator.inspect_run import describe, unlike_preset
    from orchestrator.queued import look_at_queue
    from orchestrator.screen import show_run
    from orchestrator.states import standing

    folders = [Places.root.find_run(run) for run in runs]
    if plot is not None:
        return _plot(folders, plot, out)
    queue = look_at_queue(Places.root)
    known = [describe(folder, standing(folder, queue)) for folder in folders]
    if as_json:
        print(json.dumps(known[0] if len(known) == 1 else known, indent=1))
        return
    for folder, one in zip(folders, known, strict=True):
        show_run(Console(), one, *unlike_preset(folder))


def diff(
    one: Annotated[str, typer.Argument(help="First digits of a run id.")],
    other: Annotated[str, typer.Argument(help="First digits of another.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what two runs differ in: settings, data, results."""
    from orchestrator.compare import difference
    from orchestrator.screen import show_difference

    found = difference(Places.root.find_run(one), Places.root.find_run(other))
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        show_difference(Console(), found)


def logs(
    run: Annotated[str, typer.Argument(help="First digits of a run id.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run ends.")] = False,
) -> None:
    """Print what a run's last attempt recorded and printed."""
    from orchestrator.inspect_run import log_lines
    from orchestrator.queued import look_at_queue
    from orchestrator.screen import plain

    for line in log_lines(Places.root.find_run(run), follow, lambda: look_at_queue(Places.root)):
        print(plain(line), flush=True)


def _plot(folders: Sequence[RunFolder], metric: str, out: Path) -> None:
    from analysis.curves import draw
    from analysis.load import UnknownMetricError, series
    from orchestrator.inspect_run import unlike_preset

    collected()
    labels = {}
    for folder in folders:
        preset, unlike = unlike_preset(folder)
        changes = ", ".join(f"{key}={value}" for key, value in unlike.items()) or "as it is"
        labels[folder.run_id] = f"{folder.run_id[:PREFIX]} {preset}: {changes}"
    try:
        write_out(out, draw(series(metric, [*labels], db=Places.db), labels, metric))
    except UnknownMetricError as error:
        raise UsageError(str(error)) from None
    print(f"figure: {near(out)}")
