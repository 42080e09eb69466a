"""Runs the `sweep` command, and turns errors into text and exit statuses.

0 done · 1 something failed · 2 bad usage or spec · 75 another launcher holds the root ·
130 interrupted
"""

import gc
import io
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from byol_core.files import DamagedFileError
from orchestrator.cli import doctor, inspect, launch, maintenance, results
from orchestrator.cli.arguments import split_globals
from orchestrator.cli.context import Places
from orchestrator.errors import SweepError, UsageError
from orchestrator.store.root import Root

INTERRUPTED = 130
_NEW_OBJECTS_BEFORE_GC = 100_000
"""With Python's own 700, the search among thousands of rows takes a tenth of `sweep status`."""

_ParserError: Any = typer.BadParameter.__base__
"""The UsageError of click, wherever this typer has it from."""

COMMANDS = (
    launch.launch,
    inspect.status,
    results.report,
    inspect.show,
    inspect.diff,
    inspect.logs,
    results.export,
    maintenance.cancel,
    maintenance.clean,
    doctor.doctor,
    maintenance.rebuild,
)

app = typer.Typer(
    name="sweep",
    help="Ablation sweeps for BYOL: from a spec to SLURM or local runs, to results.db, "
    "to the papers' tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")
for command in COMMANDS:
    app.command()(command)
data_app.command("fetch")(maintenance.fetch)


@app.callback()
def _set_places(
    context: typer.Context,
    root: Annotated[
        Path, typer.Option(envvar="SWEEP_ROOT", help="Folder of all sweeps and runs.")
    ] = Path("sweep-runs"),
    db: Annotated[
        str, typer.Option(envvar="SWEEP_DB", help="Database: a path or a URL.")
    ] = "results.db",
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    # `main` reads --debug by itself, as it counts for errors of any kind.
    context.obj = Places(Root(root.absolute()), db)


def main() -> None:
    """Run the command; turn errors into one line and an exit status."""
    gc.set_threshold(_NEW_OBJECTS_BEFORE_GC)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of ASCII alone gets question marks

    debug = False
    try:
        _check_text([*sys.argv[1:], str(Path.cwd())])
        options, command = split_globals(sys.argv[1:])
        debug = "--debug" in options
        sys.exit(app(args=[*options, *command], prog_name="sweep", standalone_mode=False))
    except _ParserError as error:
        _explain(error)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output has gone, as in `sweep status | head`
        sys.stderr.close()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        _complain(_text_of(error))
        sys.exit(getattr(error, "exit_status", 1))


def _text_of(error: Exception) -> str:
    """Return what to say of an error that stopped a command."""
    if isinstance(error, SweepError | DamagedFileError):
        return str(error)
    if isinstance(error, OSError):
        file = error.filename or "a file"
        return f"{file}: {error.strerror or error}; nothing else was touched"
    return (
        f"{type(error).__name__}: {error}; this is a bug in sweep: "
        "run it again with `sweep --debug ...` and report it"
    )


def _check_text(words: Sequence[str]) -> None:
    """Refuse names that are no text: configs and the database hold text alone.

    Raises:
        UsageError: one of them holds bytes that are not UTF-8.
    """
    for word in words:
        if word != word.encode(errors="replace").decode():
            shown = word.encode(errors="backslashreplace").decode()
            raise UsageError(f"{shown!r} is no text in UTF-8; rename it, or work in another folder")


def _explain(error: Any) -> None:
    """Print what the parser of options found wrong."""
    text = error.format_message().strip().rstrip(".").replace("\n", " ")
    if not text:
        return  # a command without a word, for which the parser has printed the help
    command = error.ctx.command_path if error.ctx else "sweep"
    _complain(f"{text}{_given(error)}; `{command} -h` tells what is allowed")


def _given(error: Any) -> str:
    """Return the value that an option does not take; the parser's own text leaves it out."""
    names = getattr(getattr(error, "param", None), "opts", [])
    values = [value for name, value in pairwise(sys.argv) if name in names]
    if not values:
        return ""
    return f": {values[-1]!r}"


def _complain(text: str) -> None:
    from orchestrator.text import plain

    print(f"error: {plain(text)}", file=sys.stderr)
