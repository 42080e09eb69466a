"""The `sweep` command: parses, calls one function, prints. All texts and exit statuses are made here.

0 done · 1 something failed · 2 bad usage or spec · 75 another launcher holds the root · 130 interrupted
"""

import io
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy import Engine

from byol_core.files import DamagedFileError
from orchestrator.errors import StoreError, SweepError, UsageError
from orchestrator.root import PREFIX, Root, RunFolder

INTERRUPTED = 130

app = typer.Typer(
    name="sweep",
    help="Ablation sweeps for BYOL: from a spec to SLURM or local runs, to results.db, to the papers' tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")


class Places:
    """Where files and database are, from the global options."""

    root = Root(Path("sweep-runs").absolute())
    db = "results.db"
    debug = False


@app.callback()
def _places(
    root: Annotated[Path, typer.Option(envvar="SWEEP_ROOT", help="Folder of all sweeps and runs.")] = Path("sweep-runs"),
    db: Annotated[str, typer.Option(envvar="SWEEP_DB", help="Database: a path or a URL.")] = "results.db",
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    Places.root, Places.db, Places.debug = Root(root.absolute()), db, debug


@app.command()
def launch(
    spec: Annotated[Path, typer.Argument(help="The sweep's YAML file, e.g. sweeps/norm_ablation.yaml.")],
    profile: Annotated[str | None, typer.Option(help="Named changes in the spec, e.g. quick.")] = None,
    assign: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting of all runs.")
    ] = None,
    table: Annotated[str | None, typer.Option(help="Only the variants that are rows of this table.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds instead of the spec's, e.g. 0,1,2.")] = None,
    executor: Annotated[str, typer.Option(help="auto, slurm, local or inline.")] = "auto",
    slots: Annotated[int | None, typer.Option(min=1, help="How many runs at once; default: one per GPU or core.")] = None,
    retry: Annotated[str, typer.Option(help="Also try again what ended so, e.g. failed,oom.")] = "",
    only: Annotated[str | None, typer.Option(help="Only these variants, e.g. byol,no_norm.")] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Try: train so many steps and keep no result.")] = None,
    rerun: Annotated[bool, typer.Option("--rerun", help="Train again what is done already.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Cancel the jobs of variants that left the spec.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
) -> None:
    """Start what a spec asks for and is not there yet.

    Run it again at any time: what is done is kept, what was interrupted goes on.

    Example: sweep launch sweeps/norm_ablation.yaml --profile quick --executor local
    """
    from orchestrator.launch import Request, parse_retry
    from orchestrator.launch import launch as start
    from orchestrator.plan import Narrowing
    from orchestrator.screen import show_plan_runs
    from orchestrator.spec import load_sweep
    from orchestrator.status import sweep_statuses
    from orchestrator.watch import Watch, show_outcome

    sweep = load_sweep(spec, profile, dict(_assignment(text) for text in assign or []))
    narrowing = Narrowing(_seeds(seeds), table, _names(only), parse_retry(retry))
    console = Console()
    if max_steps is not None:
        from orchestrator.tries import try_out

        raise typer.Exit(try_out(sweep, Places.root, narrowing, max_steps, print))
    request = Request(sweep, narrowing, executor, slots, rerun, prune, dry_run)
    with Watch(console, sweep.label, Places.root, _database_for(dry_run)) as watch:
        done = start(request, Places.root, watch.reporter())
    if dry_run:
        return show_plan_runs(console, done.plan)
    status = next(iter(sweep_statuses(_collected(wait=True), sweep.label)))
    raise typer.Exit(show_outcome(console, status, done))


@app.command()
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
        statuses = sweep_statuses(_collected(), sweep)
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


@app.command()
def report(
    sweeps: Annotated[list[str] | None, typer.Argument(help="Use only runs of these sweeps; all where left out.")] = None,
    table: Annotated[str, typer.Option(help="Which table, e.g. mlp_norm or norm.")] = "",
    setting: Annotated[str | None, typer.Option(help="Which setting; the newest sweep's where left out.")] = None,
    format_: Annotated[str, typer.Option("--format", help="text, md, csv or json.")] = "text",
    layout: Annotated[str, typer.Option(help="rows, or matrix: as the paper prints table norm (text).")] = "rows",
    out: Annotated[Path | None, typer.Option(help="Write there instead of printing.")] = None,
) -> None:
    """Rebuild a paper's table beside the published numbers; text also draws its figure."""
    from analysis.load import NoDatabaseError
    from analysis.render_matrix import NoMatrixError
    from analysis.report import FORMATS, LAYOUTS, write_figure
    from analysis.report import report as rebuild
    from analysis.rows import UnknownTableError, load_table, table_ids
    from analysis.table import UnknownSettingError, UnknownSweepError

    if not table:
        raise UsageError(f"--table is missing; tables: {', '.join(table_ids())}")
    if format_ not in FORMATS:
        raise UsageError(f"--format {format_!r} does not exist; allowed: {', '.join(FORMATS)}")
    if layout not in LAYOUTS:
        raise UsageError(f"--layout {layout!r} does not exist; allowed: {', '.join(LAYOUTS)}")
    try:
        load_table(table)  # a misspelt name is told before anything is read
        _collected()
        built = rebuild(Places.db, table, setting, sweeps or ())
        text = LAYOUTS[layout](built) if format_ == "text" else FORMATS[format_](built)
    except (UnknownTableError, UnknownSettingError, UnknownSweepError, NoDatabaseError, NoMatrixError) as error:
        raise UsageError(str(error)) from None
    if out is not None:
        _write(out, text + "\n")
    else:
        print(text)
    if format_ == "text":
        figure = (out.parent if out else Places.root.path / "reports") / f"{table}.png"
        print(f"figure: {_near(write_figure(built, figure))}")


@app.command()
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


@app.command()
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


@app.command()
def clean(
    encoders: Annotated[bool, typer.Option("--encoders", help="Kept encoders of completed runs too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
) -> None:
    """Free space that no result needs; results, events and plans stay."""
    from orchestrator.clean import find, remove
    from orchestrator.lock import launcher_lock
    from orchestrator.queued import look_at_queue

    Places.root.create()
    with launcher_lock(Places.root):
        found = list(find(Places.root, look_at_queue(Places.root), encoders))
        for one in found:
            print(f"{one.size_bytes / 1e6:9.2f} MB  {one.why}  {_near(one.path)}")
            if not dry_run:
                remove(one)
    print(f"{sum(one.size_bytes for one in found) / 1e6:9.2f} MB  {'would be freed' if dry_run else 'freed'}")


@app.command()
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


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    format_: Annotated[str, typer.Option("--format", help="csv.")] = "csv",
) -> None:
    """Write results.db as files: runs.csv, a line per run, and metrics.csv, all series."""
    from analysis.export import ExportError, export_csv

    if format_ != "csv":
        raise UsageError(f"--format {format_!r} does not exist; allowed: csv")
    try:
        for file in export_csv(_collected(), out):
            print(_near(file))
    except ExportError as error:
        raise UsageError(str(error)) from None


@data_app.command("fetch")
def fetch(name: Annotated[str, typer.Argument(help="Which data set, e.g. stl10.")]) -> None:
    """Download a data set to $SWEEP_DATA (default ./data)."""
    from orchestrator.fetch import fetch as download

    print(f"{name} is in {_near(download(name))}")


def main() -> None:
    """Run the command; turn errors into one line and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows ASCII alone gets question marks
    try:
        app()
    except BrokenPipeError:  # the reader of our output has gone, as in `sweep status | head`
        sys.stderr.close()
        sys.exit(0)
    except (SweepError, DamagedFileError) as error:
        if Places.debug:
            raise
        _complain(str(error))
        sys.exit(getattr(error, "exit_status", 1))
    except OSError as error:
        if Places.debug:
            raise
        _complain(f"{error.filename or 'a file'}: {error.strerror or error}; nothing else was touched")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if Places.debug:
            raise
        _complain(
            f"{type(error).__name__}: {error}; this is a bug of ours: run it again with `sweep --debug ...` and report it"
        )
        sys.exit(1)


def _database_for(dry_run: bool) -> Engine | None:
    """Open the database; a dry run makes none where there is none."""
    from orchestrator.database import open_database

    if dry_run and "://" not in Places.db and not Path(Places.db).exists():
        return None
    return open_database(Places.db)


def _collected(wait: bool = False) -> Engine:
    """Bring the database up to date and return it."""
    from orchestrator.collect import collect
    from orchestrator.database import open_database
    from orchestrator.queued import look_at_queue

    if not Places.root.path.exists() and "://" not in Places.db and not Path(Places.db).exists():
        raise UsageError(
            f"there is nothing in {Places.root.path} yet; start with `sweep launch sweeps/smoke.yaml`, or see --root"
        )
    engine = open_database(Places.db)
    for damaged in collect(Places.root, engine, look_at_queue(Places.root), wait) or []:
        print(f"warning: {damaged}", file=sys.stderr)
    return engine


def _plot(folders: Sequence[RunFolder], metric: str, out: Path) -> None:
    from analysis.curves import UnknownMetricError, draw, series
    from orchestrator.inspect_run import unlike_preset

    _collected()
    labels = {}
    for folder in folders:
        preset, unlike = unlike_preset(folder)
        changes = ", ".join(f"{key}={value}" for key, value in unlike.items()) or "as it is"
        labels[folder.run_id] = f"{folder.run_id[:PREFIX]} {preset}: {changes}"
    try:
        print(f"figure: {_near(draw(series(Places.db, [*labels], metric), labels, metric, out))}")
    except UnknownMetricError as error:
        raise UsageError(str(error)) from None


def _assignment(text: str) -> tuple[str, Any]:
    from orchestrator.spec.strict_yaml import scalar

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {text!r} is no assignment; write KEY=VALUE, e.g. optimizer.lr=0.5")
    return key.strip(), scalar(value)


def _names(text: str | None) -> list[str]:
    """Split at commas; a variant of a grid has commas of its own, so it is given alone."""
    if text is None:
        return []
    return [text] if "=" in text else [name.strip() for name in text.split(",") if name.strip()]


def _seeds(text: str | None) -> list[int] | None:
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) < 2**31 for word in words) or len(set(words)) != len(words):
        raise UsageError(f"--seeds {text!r} are no seeds; write different numbers from 0 to 2147483647, e.g. 0,1,2")
    return [int(word) for word in words]


def _write(file: Path, text: str) -> None:
    from byol_core.files import make_folder, write_atomic

    try:
        make_folder(file.absolute().parent)
        write_atomic(file, text.encode())
    except OSError as error:
        raise StoreError(f"{file}: cannot be written: {error.strerror}") from None


def _near(path: Path) -> str:
    """Return a path as people would type it from here."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _complain(text: str) -> None:
    from orchestrator.screen import plain

    print(f"error: {plain(text)}", file=sys.stderr)


if __name__ == "__main__":
    main()
