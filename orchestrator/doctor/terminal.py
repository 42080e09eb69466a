"""Findings as people see them: one line each, the fix below what needs one."""

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.doctor.finding import Finding, Level

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def show_topic(console: Console, topic: str, findings: Iterable[Finding]) -> None:
    """Print the findings of one topic."""
    console.print(Text(topic, style="bold"))
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for one in findings:
        table.add_row(Text(one.level.value, style=_COLOURS[one.level]), Text(one.name), _words(one))
    console.print(Padding(table, (0, 0, 0, 2), expand=False))


def show_sum(console: Console, findings: Iterable[Finding]) -> None:
    """Print how many came out how."""
    counts = Counter(one.level for one in findings)
    failed = Text(
        f"{counts[Level.FAIL]} failed",
        style=_COLOURS[Level.FAIL if counts[Level.FAIL] else Level.OK],
    )
    console.print(Text.assemble(failed, f", {counts[Level.WARN]} warned, {counts[Level.OK]} ok"))


def _words(one: Finding) -> Text:
    text = Text(one.found)
    return text if not one.fix else text.append("\n→ ").append(one.fix, style="italic")
