"""Holds the commands that look and change nothing: status, show, diff, logs."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from orchestrator.cli.arguments import names
from orchestrator.cli.complete import complete_runs, complete_states, complete_sweeps
from orchestrator.cli.console import make_console
from orchestrator.cli.context import Places, collected, near, write_out
from orchestrator.cli.output import format_for
from orchestrator.errors import UsageError
from orchestrator.store.root import PREFIX, Root, RunFolder

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator.status.sweep_status import SweepStatus

_WATCH_S = 2.0
_NAMED_RUNS = 5


def status(
    context: typer.Context,
    sweep: Annotated[
        str | None,
        typer.Argument(help="A sweep's name; all where left out.", autocompletion=complete_sweeps),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Only these variants, e.g. byol,no_norm.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            help="List the runs in this state; any for all.", autocompletion=complete_states
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    unfold: Annotated[
        bool,
        typer.Option("--all", help="Also show all sweeps with --set whole, old ones too."),
    ] = False,
    forgotten: Annotated[
        bool, typer.Option("--forgotten", help="List the sweeps that `sweep forget` hides.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on showing it, every two seconds, until Ctrl-C.")
    ] = False,
) -> None:
    """Show whether the sweeps go well, how far they are, and why runs wait or failed.

    Changes no run and no job.
    """
    from orchestrator.status.sweep_status import as_json as to_json
    from orchestrator.status.terminal import run_lines

    state = _known_state(state)
    if watch and as_json:
        raise UsageError(
            "--watch does not go with --json: call `sweep status --json` as often as you need it"
        )
    places: Places = context.obj
    if forgotten:
        return _show_forgotten(places.root, as_json)
    console = make_console()
    if watch and console.is_terminal and state is None:
        _watch(console, places, sweep, only, unfold)

    # Elsewhere each look is printed below the one before.
    while True:
        statuses = _statuses(places, sweep, only)
        if as_json:
            print(to_json(statuses))
        elif state is not None:
            _print_runs(run_lines(statuses, state), state)
        else:
            console.print(_view(places, statuses, sweep, unfold))
        if not watch:
            return
        time.sleep(_WATCH_S)


def _known_state(name: str | None) -> str | None:
    """Return the name of a state in small letters, or any; None where none is named.

    Raises:
        UsageError: there is no such state.
    """
    from orchestrator.store.state import State

    if name is None:
        return None
    allowed = ["any", *(state.value.lower() for state in State)]
    if name.lower() not in allowed:
        raise UsageError(f"--state {name.lower()!r}; allowed: {', '.join(allowed)}")
    return name.lower()


def _show_forgotten(root: Root, as_json: bool) -> None:
    """List the sweeps that are hidden: when, by whom, why."""
    from orchestrator.status.remarks import forgotten_sweeps, signed

    hidden = forgotten_sweeps(root)
    if as_json:
        print(json.dumps({"forgotten": hidden}, indent=1))
        return
    for sweep in hidden:
        print(f"{sweep['sweep']}  forgotten {signed(sweep)}".removesuffix(": "))
    if hidden:
        print(f"to have one back: sweep forget --undo {hidden[0]['sweep']}")
    else:
        print("no sweep is forgotten")


def _print_runs(lines: Iterator[str], state: str) -> None:
    """Print a line per run, or that there is none."""
    nothing = "no runs yet" if state == "any" else f"no run is {state}"
    print("\n".join(lines) or nothing)


def _watch(
    console: Console, places: Places, sweep: str | None, only: str | None, unfold: bool
) -> NoReturn:
    """Refresh the status where it stands, until Ctrl-C."""
    from rich.live import Live

    with Live(console=console, auto_refresh=False) as live:
        while True:
            statuses = _statuses(places, sweep, only)
            live.update(_view(places, statuses, sweep, unfold), refresh=True)
            time.sleep(_WATCH_S)


def _statuses(places: Places, sweep: str | None, only: str | None) -> "list[SweepStatus]":
    from orchestrator.status.sweep_status import narrowed, sweep_statuses

    statuses = sweep_statuses(collected(places), sweep)
    if not only:
        return statuses
    return narrowed(statuses, names(only))


def _view(
    places: Places, statuses: "list[SweepStatus]", sweep: str | None, unfold: bool
) -> "RenderableType":
    """Return what people are shown; a sweep that they name is shown whole."""
    from analysis.tables.collapse import COLLAPSED_BELOW
    from orchestrator.status.folding import Family, families
    from orchestrator.status.terminal import status_view
    from orchestrator.store.locks import is_held

    if not statuses:
        return "no sweeps yet; start one with: sweep launch sweeps/smoke.yaml"
    if unfold or sweep in {status.label for status in statuses if status.overrides}:
        shown = [Family(status.label, [status]) for status in statuses]
    else:
        shown = families(statuses, time.time())
    return status_view(shown, COLLAPSED_BELOW, is_held(places.root))


def show(
    context: typer.Context,
    runs: Annotated[
        list[str],
        typer.Argument(
            help="First digits of run ids, or VARIANT:SEED.", autocompletion=complete_runs
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[
        str | None,
        typer.Option(metavar="METRIC", help="Lay a metric of the runs over each other."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The picture of --plot (png, svg, pdf), or the script of --reproduce (sh, json)."
        ),
    ] = None,
    reproduce: Annotated[
        bool, typer.Option("--reproduce", help="Print the commands that make the run again.")
    ] = False,
) -> None:
    """Show runs: settings, attempts, results; or plot a metric of them."""
    from orchestrator.slurm.queue import look_at_queue
    from orchestrator.status.show import difference_from_preset, run_details
    from orchestrator.status.terminal import show_run
    from orchestrator.store.names import find_run
    from orchestrator.store.standing import standing

    places: Places = context.obj
    folders = [find_run(places.root, run) for run in runs]
    _check_together(as_json, plot, out, reproduce)
    if reproduce:
        return _reproduce(folders, as_json, out)
    if plot is not None:
        return _plot(places, folders, plot, out)

    queue = look_at_queue(places.root)
    details = [run_details(folder, standing(folder, queue)) for folder in folders]
    if as_json:
        print(json.dumps(details[0] if len(details) == 1 else details, indent=1))
        return
    for folder, details_of_run in zip(folders, details, strict=True):
        show_run(make_console(), details_of_run, *difference_from_preset(folder))


def diff(
    context: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            help="First digits of a run id, or VARIANT:SEED.", autocompletion=complete_runs
        ),
    ],
    other: Annotated[
        str, typer.Argument(help="Another, named likewise.", autocompletion=complete_runs)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what two runs differ in: settings, data, results."""
    from orchestrator.status.diff import difference
    from orchestrator.status.terminal import show_difference
    from orchestrator.store.names import find_run

    root = context.obj.root
    differences = difference(find_run(root, run), find_run(root, other))
    if as_json:
        print(json.dumps(differences, indent=1))
    else:
        show_difference(make_console(), differences)


def logs(
    context: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            help="First digits of a run id, or VARIANT:SEED.", autocompletion=complete_runs
        ),
    ],
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on until the run ends.")
    ] = False,
) -> None:
    """Print what a run's last attempt recorded and printed, or before it what its job printed."""
    from orchestrator.slurm.queue import look_at_queue
    from orchestrator.status.logs import log_lines
    from orchestrator.store.names import find_run
    from orchestrator.text import plain

    root = context.obj.root
    for line in log_lines(root, find_run(root, run), follow, lambda: look_at_queue(root)):
        print(plain(line), flush=True)


def _check_together(as_json: bool, plot: str | None, out: Path | None, reproduce: bool) -> None:
    """Refuse options of `show` that do not go together.

    Raises:
        UsageError: names the two, and what to type instead.
    """
    if reproduce and plot is not None:
        raise UsageError("--reproduce does not go with --plot: call `sweep show` once for each")
    if as_json and plot is not None:
        raise UsageError("--json does not go with --plot: `sweep export` writes the series")
    if as_json and reproduce and out is not None:
        raise UsageError(
            "--json prints and does not go with --out: leave it out and end the file in .json"
        )
    if out is not None and not reproduce and plot is None:
        raise UsageError("--out needs --plot METRIC or --reproduce; else redirect what is printed")


def _reproduce(folders: Sequence[RunFolder], as_json: bool, out: Path | None) -> None:
    """Print or write the commands that make runs again, as a script or as JSON."""
    from orchestrator.status.reproduce.recipe import as_json as recipe_as_json
    from orchestrator.status.reproduce.recipe import recipe
    from orchestrator.status.reproduce.script import lines

    format_ = format_for(out, None, ["sh", "json"], "json" if as_json else "sh")
    recipes = [(folder, recipe(folder)) for folder in folders]
    if format_ == "json":
        objects = [recipe_as_json(folder, steps) for folder, steps in recipes]
        text = json.dumps(objects[0] if len(objects) == 1 else objects, indent=1)
    else:
        scripts = ["\n".join(lines(folder, steps)) for folder, steps in recipes]
        text = "\n".join(scripts)
    if out is None:
        print(text)
    else:
        write_out(out, f"{text}\n".encode())
        print(f"wrote {near(out)}")


def _plot(places: Places, folders: Sequence[RunFolder], metric: str, out: Path | None) -> None:
    """Draw a metric of some runs; each is labelled with what sets it apart from its preset."""
    from analysis.figures.curves import draw
    from analysis.figures.files import FIGURE_FORMATS
    from analysis.load import UnknownMetricError, UnknownRunError, series
    from orchestrator.status.show import difference_from_preset

    format_ = format_for(out, None, FIGURE_FORMATS, "png")
    collected(places)
    labels = {}
    for folder in folders:
        preset, unlike = difference_from_preset(folder)
        changes = ", ".join(f"{key}={value}" for key, value in unlike.items()) or "as it is"
        labels[folder.run_id] = f"{folder.run_id[:PREFIX]} {preset}: {changes}"

    try:
        picture = draw(series(metric, [*labels], db=places.db), labels, metric, format_)
    except (UnknownMetricError, UnknownRunError) as error:
        raise UsageError(str(error)) from None

    # Its name carries the runs, so that two plots have two files.
    if out is None:
        shown = [folder.run_id[:PREFIX] for folder in folders[:_NAMED_RUNS]]
        if len(folders) > _NAMED_RUNS:
            shown.append(f"and-{len(folders) - _NAMED_RUNS}-more")
        out = Path(f"{metric}-{'-'.join(shown)}.png")
    write_out(out, picture)
    print(f"figure: {near(out)}")
