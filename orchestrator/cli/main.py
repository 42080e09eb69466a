"""The `sweep` command: parses, calls one function, prints. All texts and exit statuses are made in
this package.

0 done · 1 something failed · 2 bad usage or spec · 75 another launcher holds the root · 130
interrupted
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
from orchestrator.cli.arguments import globals_first
from orchestrator.cli.context import Places
from orchestrator.errors import SweepError, UsageError
from orchestrator.store.root import Root

INTERRUPTED = 130
_NEW_OBJECTS_BEFORE_GC = 100_000
"""Rows of thousands of runs are no garbage: at Python's own 700 the search for some takes a tenth
of `sweep status`.
"""

_ParserError: Any = (
    typer.BadParameter.__base__
)  # click's UsageError, wherever this typer has it from
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
    help="Ablation sweeps for BYOL: from a spec to SLURM or local runs, to results.db, to the papers' tables.",
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
def _places(
    root: Annotated[
        Path, typer.Option(envvar="SWEEP_ROOT", help="Folder of all sweeps and runs.")
    ] = Path("sweep-runs"),
    db: Annotated[
        str, typer.Option(envvar="SWEEP_DB", help="Database: a path or a URL.")
    ] = "results.db",
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    Places.root, Places.db, Places.debug = Root(root.absolute()), db, debug


def main() -> None:
    """Run the command; turn errors into one line and an exit status."""
    gc.set_threshold(_NEW_OBJECTS_BEFORE_GC)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # a terminal that knows ASCII alone gets question marks
    try:
        _check_text([*sys.argv[1:], str(Path.cwd())])
        sys.exit(app(args=globals_first(sys.argv[1:]), prog_name="sweep", standalone_mode=False))
    except _ParserError as error:
        _explain(error)
        sys.exit(2)
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
        _complain(
            f"{error.filename or 'a file'}: {error.strerror or error}; nothing else was touched"
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if Places.debug:
            raise
        _complain(
            f"{type(error).__name__}: {error}; this is a bug of ours: run it again with `sweep "
            f"--debug ...` and report it"
        )
        sys.exit(1)


def _check_text(words: Sequence[str]) -> None:
    """Refuse names that are no text: configs and the database hold text alone.

    Raises:
        UsageError: one of them holds bytes that are not UTF-8.
    """
    for word in words:
        if word != word.encode(errors="replace").decode():
            raise UsageError(
                f"{word.encode(errors='backslashreplace').decode()!r} is no text in UTF-8; rename it, or be elsewhere"
            )


def _explain(error: Any) -> None:
    """Print what the parser of options found wrong; for a command without a word the help, which it
    has printed.
    """
    said = error.format_message().strip().rstrip(".").replace("\n", " ")
    if said:
        where = error.ctx.command_path if error.ctx else "sweep"
        _complain(f"{said}{_given(error)}; `{where} -h` tells what is allowed")


def _given(error: Any) -> str:
    """Return the value that an option does not take; the parser's own text leaves it out."""
    names = getattr(getattr(error, "param", None), "opts", [])
    values = [value for name, value in pairwise(sys.argv) if name in names]
    return f": {values[-1]!r}" if values else ""


def _complain(text: str) -> None:
    from orchestrator.text import plain

    print(f"error: {plain(text)}", file=sys.stderr)
