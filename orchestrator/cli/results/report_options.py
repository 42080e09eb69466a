"""Holds the options of `sweep report` that are of one table, and refuses what does not go together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cli.arguments import check_choice
from orchestrator.cli.output import check_place
from orchestrator.errors import UsageError

_OF_STYLE = ("--unit", "--digits", "--per-seed", "--relative", "--wide")
_OF_ANY_TABLE = ("--layout", "--wide")
"""What a table without runs may have too: it says how a text looks."""


@dataclass(frozen=True)
class TableOptions:
    """The options of one table, as they were typed; `sweep report --help` says what each is."""

    setting: str | None = None
    manifest: Path | None = None
    layout: str = "rows"
    figure: str | None = None
    protocol: str | None = None
    network: str | None = None
    unit: str = "percent"
    digits: int | None = None
    per_seed: bool = False
    relative: bool = False
    wide: bool = False
    strict: bool = False

    def given(self) -> list[str]:
        """Return the options that are not left as they are by themselves, in their order."""
        usual = vars(TableOptions())
        return [
            f"--{name.replace('_', '-')}"
            for name, value in vars(self).items()
            if value != usual[name]
        ]

    def of_runs(self) -> list[str]:
        """Return the given options that choose or judge runs."""
        return [option for option in self.given() if option not in _OF_ANY_TABLE]


def check_options(options: TableOptions, table: str, chosen: str, out: Path | None) -> None:
    """Refuse what is misspelt or contradicts itself, before anything is read.

    Args:
        options: of the table.
        table: its name.
        chosen: the format that is to be written.
        out: the file that it is written to.

    Raises:
        UsageError: names the value, what is allowed and what to do.
    """
    from analysis.formats import LAYOUTS

    check_choice("--layout", options.layout, LAYOUTS)
    check_choice("--unit", options.unit, ("percent", "fraction"))
    digits = options.digits
    if options.unit == "fraction" and digits is not None and digits < 2:
        raise UsageError(f"--digits {digits} of a fraction hides what seeds differ in; use 2 to 6")
    _check_format(table, chosen, options.layout, out)
    _check_style(chosen, options)
    if options.figure is not None:
        _check_figure(table, chosen, options.figure)
    _check_judge(options.protocol, options.network)
    if options.manifest is not None:
        check_place("--manifest", options.manifest)


def refuse_of_published(table: str, given: Sequence[str]) -> None:
    """Refuse options that choose or judge runs, for a table that has none."""
    if given:
        raise UsageError(
            f"{given[0]} is for tables of runs; {table} is shown as it is published, and has none"
        )


def refuse_beside_all(given: Sequence[str]) -> None:
    """Refuse options of one table beside --all, which writes every table as it is."""
    if given:
        raise UsageError(f"{given[0]} is for one table, and --all writes every one; leave one out")


def _check_format(table: str, chosen: str, layout: str, out: Path | None) -> None:
    """Refuse options that do not go together."""
    from analysis.figures.files import FIGURE_FORMATS
    from analysis.formats import IN_LAYOUTS

    if layout != "rows" and chosen not in IN_LAYOUTS:
        allowed = " and ".join(IN_LAYOUTS)
        raise UsageError(f"--layout {layout} is for {allowed}; leave it out for {chosen}")
    if chosen in FIGURE_FORMATS and out is None:
        raise UsageError(f"--format {chosen} is a picture; name its file: --out {table}.{chosen}")


def _check_style(chosen: str, options: TableOptions) -> None:
    """Refuse options of how numbers are written where they would change nothing."""
    from analysis.figures.files import FIGURE_FORMATS
    from analysis.formats import STYLES_OF_MATRIX

    given = [option for option in options.given() if option in _OF_STYLE]
    if given and chosen in FIGURE_FORMATS:
        raise UsageError(
            f"{given[0]} is for tables of text; a figure shows percent and points: leave it out"
        )
    unused = [option for option in given if option not in STYLES_OF_MATRIX]
    if unused and options.layout == "matrix":
        raise UsageError(
            f"{unused[0]} is for --layout rows; a matrix has no column for it: leave one out"
        )


def _check_figure(table: str, chosen: str, figure: str) -> None:
    """Refuse a kind of figure that there is not, and one that is asked for in text."""
    from analysis.figures.files import FIGURE_FORMATS
    from analysis.papers.table_rows import FIGURES

    check_choice("--figure", figure, FIGURES)
    if chosen not in FIGURE_FORMATS:
        raise UsageError(
            f"--figure {figure} is a picture; name its file: --out {Path(table).stem}-{figure}.png"
        )


def _check_judge(protocol: str | None, network: str | None) -> None:
    from byol_core.config import PROTOCOLS

    if protocol is not None:
        check_choice("--protocol", protocol, PROTOCOLS)
    if network is not None:
        check_choice("--network", network, ("online", "target"))
