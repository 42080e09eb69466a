"""Runs the `sweep` command, and turns errors into text and exit statuses.

0 done · 1 something failed · 2 bad usage or spec · 75 another launcher holds the root ·
130 interrupted
"""

import codecs
import gc
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from byol_core.files import DamagedFileError, absolute, expanded
from orchestrator.cli import (
    annotate,
    complete,
    doctor,
    inspect,
    install,
    keys,
    launch,
    maintenance,
    runs,
)
from orchestrator.cli.arguments import split_globals
from orchestrator.cli.context import Places, working_folder
from orchestrator.cli.display import UnreadError, displayed
from orchestrator.cli.help import Command, Group
from orchestrator.cli.results import export, report, verify, why
from orchestrator.errors import SweepError, UsageError
from orchestrator.store.root import Root

INTERRUPTED = 130
_WORKS = (
    "launch",
    "report",
    "export",
    "cancel",
    "clean",
    "rebuild",
    "data",
    "exclude",
    "include",
    "note",
    "forget",
)
"""Commands that do more than print, and go on where what they print cannot be shown."""
_NEW_OBJECTS_BEFORE_GC = 100_000
"""With Python's own 700, the search among thousands of rows takes a tenth of `sweep status`."""

_ParserError: Any = typer.BadParameter.__base__
"""The UsageError of click, wherever this typer has it from."""

COMMANDS = (
    launch.launch,
    inspect.status,
    report.report,
    why.why,
    verify.verify,
    inspect.show,
    inspect.diff,
    inspect.logs,
    runs.runs,
    annotate.exclude,
    annotate.include,
    annotate.note,
    annotate.forget,
    export.export,
    maintenance.cancel,
    maintenance.clean,
    doctor.doctor,
    maintenance.rebuild,
    keys.keys,
    keys.schema,
    install.init,
)

app = typer.Typer(
    name="sweep",
    cls=Group,
    help="Ablation sweeps for BYOL: from a spec to SLURM or local runs, to results.db, "
    "to the papers' tables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(cls=Group, help="Data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")
for command in COMMANDS:
    app.command(cls=Command)(command)
data_app.command("fetch", cls=Command)(maintenance.fetch)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        print(install.version_text())
        raise typer.Exit


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
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Say what is installed.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None:
    # `main` reads --debug by itself, as it counts for errors of any kind.
    context.obj = Places(Root(absolute(root)), expanded(db))


def main() -> None:
    """Run the command; turn errors into one line and an exit status."""
    _use_utf8()
    gc.set_threshold(_NEW_OBJECTS_BEFORE_GC)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of ASCII alone gets question marks

    if complete.is_asked():
        sys.exit(complete.answer(lambda: app(args=[], prog_name="sweep")))
    command = next((word for word in sys.argv[1:] if word in _WORKS), "")
    with displayed(goes_on=bool(command)) as output:
        exit_status = _run()

        # The end of the output may be held back until now.
        with suppress(UnreadError):
            output.flush()
        if output.failure is not None:
            exit_status = _unread(output.failure, command, exit_status)
    sys.exit(exit_status)


def _use_utf8() -> None:
    """Start anew in UTF-8 mode under a locale of ASCII alone, which cannot name every file."""
    encoding = codecs.lookup(sys.getfilesystemencoding()).name
    if encoding == "ascii" and not sys.flags.utf8_mode:
        sys.stdout.flush()
        words = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
        os.execve(sys.executable, words, {**os.environ, "PYTHONUTF8": "1"})


def _run() -> int:
    """Run the command that the words of the command line name; return the exit status."""
    debug = False
    try:
        _check_text([*sys.argv[1:], str(working_folder())])
        options, command = split_globals(sys.argv[1:])
        debug = "--debug" in options
        exit_status = app(args=[*options, *command], prog_name="sweep", standalone_mode=False) or 0
        if exit_status and {"--install-completion", "--show-completion"}.intersection(command):
            _complain(
                "run it in bash, zsh, fish or PowerShell: it is made for the shell it is run in"
            )
        return exit_status
    except _ParserError as error:
        _explain(error)
        return 2
    except UnreadError:
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if debug:
            raise
        _complain(_text_of(error))
        return int(getattr(error, "exit_status", 1))


def _unread(failure: OSError, command: str, exit_status: int) -> int:
    """Say that output was not shown; return the exit status that says so too."""
    problem = f"standard output cannot be written: {failure.strerror}"
    if isinstance(failure, BrokenPipeError) and command in ("", "report"):
        return exit_status  # the reader has all it wants: `sweep status | head`
    if command:
        _complain(f"{problem}; `sweep {command}` went on all the same, see `sweep status`")
        return exit_status or 1
    _complain(f"{problem}; nothing was changed, send it elsewhere")
    return exit_status or 1


def _text_of(error: Exception) -> str:
    """Return what to say of an error that stopped a command."""
    if isinstance(error, SweepError | DamagedFileError):
        return str(error)
    if isinstance(error, OSError):
        words = [word for word in sys.argv[1:] if not word.startswith("-")]
        subject = error.filename or f"`sweep {' '.join(words)}` was stopped by the system"
        return (
            f"{subject}: {error.strerror or error}; "
            "what was done before is kept: mend that, then run the same command again"
        )
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
