"""Prints findings for people: one line each, the fix below what needs one."""

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
    for finding in findings:
        level = Text(finding.level.value, style=_COLOURS[finding.level])
        table.add_row(level, Text(finding.name), _words(finding))
    console.print(Padding(table, (0, 0, 0, 2), expand=False))


def show_sum(console: Console, findings: Iterable[Finding]) -> None:
    """Print how many checks failed, warned and passed."""
    counts = Counter(finding.level for finding in findings)
    worst = Level.FAIL if counts[Level.FAIL] else Level.OK
    failed = Text(f"{counts[Level.FAIL]} failed", style=_COLOURS[worst])
    console.print(Text.assemble(failed, f", {counts[Level.WARN]} warned, {counts[Level.OK]} ok"))


def _words(finding: Finding) -> Text:
    text = Text(finding.observed)
    if finding.fix:
        text.append("\n→ ").append(finding.fix, style="italic")
    return text
