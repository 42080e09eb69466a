"""Answers the shell that asks how a word of `sweep` may go on.

Answers come from names of files and folders, never from a look at the runs, so they are quick.
Nothing is written, and whatever goes wrong, there is no answer and no text.
"""

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path

import typer

from orchestrator.cli.arguments import split_globals
from orchestrator.store.root import PREFIX, Root

_ASKS = "_SWEEP_COMPLETE"
"""The variable in which a shell says that it asks, and which shell it is: `complete_bash`."""
_MAX_RUNS = 200


def is_asked() -> bool:
    """Tell whether this process is to complete a word instead of running a command."""
    return _ASKS in os.environ


def answer(run: Callable[[], object]) -> int:
    """Print the answer to a shell; return the exit status.

    Args:
        run: runs the parser of the command line, which finds the question in the environment.
    """
    text = StringIO()
    exit_status = 0
    with redirect_stdout(text), redirect_stderr(StringIO()), suppress(Exception):
        asked_for = _put_globals_first(os.environ)
        try:
            run()
        except SystemExit as done:
            exit_status = int(done.code or 0)

        # Bash replaces only what stands behind the "=".
        before = asked_for.rpartition("=")[0] + "="
        if os.environ[_ASKS] == "complete_bash" and "=" in asked_for:
            text = StringIO(text.getvalue().replace(before, ""))
    sys.stdout.write(text.getvalue())
    return exit_status


def _put_globals_first(question: MutableMapping[str, str]) -> str:
    """Move the options of `sweep` itself before the command, as `main` does; return the last word.

    Bash gives the words a line each, and those at "=" in pieces; zsh and fish give one line.
    """
    in_bash = question[_ASKS] == "complete_bash"
    if in_bash:
        lines = question["COMP_WORDS"].split("\n")[: int(question["COMP_CWORD"]) + 1]
        words = [*_joined(lines)]
    else:
        line = question["_TYPER_COMPLETE_ARGS"]
        words = shlex.split(line)
        if line.endswith(" "):
            words.append("")

    program, *complete, last = words
    with suppress(Exception):
        options, others = split_globals(complete)
        complete = [*options, *others]
    if in_bash:
        question["COMP_WORDS"] = shlex.join([program, *complete, last])
        question["COMP_CWORD"] = str(len(complete) + 1)
    else:
        question["_TYPER_COMPLETE_ARGS"] = " ".join([shlex.join([program, *complete]), last])
    return last


def _typed_words() -> list[str]:
    """Return the words of the question, the program's name among them."""
    return shlex.split(os.environ.get("COMP_WORDS") or os.environ["_TYPER_COMPLETE_ARGS"])


def _joined(pieces: Iterable[str]) -> Iterator[str]:
    """Join words that bash has cut at "="; take quotes off."""
    word: str | None = None
    for piece in pieces:
        plain = "".join(shlex.split(piece)) if piece.strip("'\"") else ""
        if word is not None and (piece == "=" or word.endswith("=")):
            word += plain
            continue
        if word is not None:
            yield word
        word = plain
    if word is not None:
        yield word


def complete_specs(incomplete: str) -> list[str]:
    """Return YAML files: of sweeps/ and this folder, or of the folder that is typed already."""
    typed = incomplete.rpartition("/")[0]
    if typed:
        base = Path(typed)
        inside = [path for path in base.iterdir() if not path.name.startswith(".")]
        folders = [f"{path}/" for path in inside if path.is_dir()]
        return sorted([*map(str, base.glob("*.y*ml")), *folders])
    return sorted([*map(str, Path("sweeps").glob("*.y*ml")), *map(str, Path().glob("*.y*ml"))])


def complete_profiles() -> list[str]:
    """Return the profiles of the spec that is typed already."""
    from orchestrator.spec.strict_yaml import read

    # The parser gives up at an option without its value, so it does not tell the spec.
    specs = [Path(word) for word in _typed_words() if word.endswith((".yaml", ".yml"))]
    return [*read(specs[0]).values.get("profiles", {})]


def complete_sweeps(context: typer.Context) -> list[str]:
    """Return the names of the sweeps that were launched."""
    return [folder.path.name for folder in _root(context).sweeps()]


def complete_runs(context: typer.Context, incomplete: str) -> list[str]:
    """Return the first digits of run ids; of thousands, only a screenful."""
    runs = [run.run_id for run in _root(context).runs() if run.run_id.startswith(incomplete)]
    return [run_id[: max(PREFIX, len(incomplete))] for run_id in runs[:_MAX_RUNS]]


def complete_tables() -> list[str]:
    """Return the names of the papers' tables."""
    from analysis.papers.table_names import table_ids

    return table_ids()


def complete_shown_tables() -> list[str]:
    """Return the names of the tables that are shown: a sweep's own variants are one, too."""
    return [*complete_tables(), "variants"]


def complete_figures() -> list[str]:
    """Return the kinds of figures."""
    from analysis.papers.table_rows import FIGURES

    return [*FIGURES]


def complete_rows(context: typer.Context) -> list[str]:
    """Return the keys of the rows of the table that is typed already."""
    from analysis.papers.rows import load_table

    return [*load_table(context.params["table"]).rows]


def complete_published() -> list[str]:
    """Return the names of the data sets that can be fetched."""
    from byol_core.datasets.published import PUBLISHED

    return sorted(PUBLISHED)


def complete_keys() -> list[str]:
    """Return the keys of a run."""
    from byol_core.config.resolve import keys

    return [*keys()]


def complete_assignments(incomplete: str) -> list[str]:
    """Return the keys that --set takes, or behind KEY= the values that the key can have."""
    from byol_core.config.key_facts import key_facts

    key, equals, _ = incomplete.partition("=")
    facts = key_facts()
    if not equals:
        return [known for known in facts if known != "seed"]
    return [f"{key}={choice}" for choice in facts[key].choices]


def complete_states(incomplete: str) -> list[str]:
    """Return the states of runs, as they are typed, behind those that are typed already."""
    from orchestrator.store.state import State

    typed = "".join(incomplete.rpartition(",")[:2])
    return [typed + state.value.lower() for state in State]


def listed(*words: str) -> Callable[[], list[str]]:
    """Return what completes an option of a few values."""
    return lambda: [*words]


def _root(context: typer.Context) -> Root:
    """Return the root that the options of `sweep` itself name."""
    return Root(Path(context.find_root().params["root"]))
