"""Gathers what a table's lines say about its claims, and has them judged."""

from collections.abc import Mapping, Sequence

from analysis.papers.chance import chance_of
from analysis.tables.build import Table
from analysis.tables.compare import UNTRAINED
from analysis.tables.line import Line
from analysis.tables.marks import Code
from analysis.tables.reproduces import RowEvidence, Verdict, judge

_SAYS_NOTHING = {Code.CONFOUNDED, Code.DEAD_KNOB, Code.DEAD_SEED, Code.NOT_JUDGED}
"""Marks of rows whose numbers decide no claim."""


def verdicts_of(table: Table) -> Sequence[Verdict]:
    """Return the verdicts on a table's claims; none before there are runs."""
    if table.setting is None or not table.rows.claims:
        return []
    control = _control(table)
    evidence = {line.row.key: _evidence(line, control) for line in table.lines}
    published = {key: row.published.value for key, row in table.rows.rows.items()}
    return judge(table.rows.claims, evidence, table.rounding, published)


def _control(table: Table) -> Mapping[int, float] | None:
    """Return the values of the encoder that is not trained, where the table has that row."""
    for line in table.lines:
        if line.row.method == UNTRAINED and line.values:
            return line.values
    return None


def _evidence(line: Line, control: Mapping[int, float] | None) -> RowEvidence:
    """Return what a line says; an unfinished row says nothing yet, or the claim would be peeked at."""
    silenced = [str(mark.code) for mark in line.marks if mark.code in _SAYS_NOTHING]
    why_not = ""
    if line.word != "done":
        why_not = line.state
    elif silenced:
        why_not = ", ".join(silenced)
    return RowEvidence(
        values=line.values,
        collapsed=line.collapsed,
        untrained=control,
        chance=_chance(line),
        usable=not why_not,
        why_not=why_not,
    )


def _chance(line: Line) -> float | None:
    """Return the accuracy of guessing on the data of a line's runs."""
    if not line.runs:
        return None
    return chance_of(str(line.runs[0].config.get("dataset.name")))
