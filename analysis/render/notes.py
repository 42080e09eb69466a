"""Writes what stands around a table: its title, what its columns are, and what its marks mean."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.papers.claims import Claim
from analysis.papers.plain_text import plain
from analysis.papers.table_rows import TableRows
from analysis.render.grid import Style
from analysis.tables.collapse import COLLAPSED_BELOW
from analysis.tables.compare import planned_comparisons
from analysis.tables.marks import MEANINGS
from analysis.tables.reproduces import Verdict
from analysis.tables.settings import Setting, summary_of
from analysis.tables.tidy import Report

_UNITS = {"percent": "in percent", "fraction": "as a fraction of 1"}
_SHOWN_SETTINGS = 5
_SHOWN_KEYS = 3
_SHOWN_NAMES = 8


@dataclass(frozen=True)
class Title:
    """The lines above a table."""

    name: str
    published: str
    ours: str


def title(report: Report) -> Title:
    """Return a table's name, and where both sides come from."""
    table = report.table
    rows = table.rows
    if rows.is_published_only:
        ours = "none: this table is shown as it is published, and no spec of ours trains its rows"
        return Title(f"{rows.id}: {rows.title}", _published_words(rows), ours)
    ours = f"no runs yet: start some with `sweep launch SPEC --table {rows.id}`"
    if table.setting is not None:
        source = f"{table.setting.source}, setting {table.setting.id}"
        if not table.setting.feeds and rows.printed is not None:
            source += "; no sweep was made for this table: these are runs that fit its rows"
        ours = f"{setting_words(table.setting, rows)} ({source})"
    published = "; ".join(filter(None, [_published_words(rows), table.unknown_data]))
    return Title(f"{rows.id}: {rows.title}", published, plain(ours))


def setting_words(setting: Setting, rows: TableRows) -> str:
    """Return what a table is shown at; of a sweep's own variants also what its baseline sets.

    Where one variant trains for other epochs, or not at all, epochs are no part of the setting.
    """
    words = setting.summary_text()
    if rows.printed is not None or not rows.rows:
        return words
    row = rows.rows[next(iter([*rows.baselines, *rows.rows]))]
    of_row = summary_of(row.match)
    return f"{words}; row {row.label}: {of_row}" if of_row else words


def _published_words(rows: TableRows) -> str:
    """Return what the published numbers were measured at, and where they stand."""
    words = [text for text in (rows.published_setting, rows.published_source) if text]
    return ": ".join(words)


def notes(
    report: Report, style: Style | None = None, with_other_settings: bool = True
) -> list[str]:
    """Return the sentences below a table, one for each thing to be said.

    Args:
        report: of the table.
        style: how its numbers are written.
        with_other_settings: name them; a page that lists them in another place does not.
    """
    remarks = [f"{remark}." for remark in report.table.rows.remarks]
    if report.table.rows.is_published_only:
        return [plain(text) for text in (*remarks, *_figure_notes(report), *_row_notes(report))]
    texts = [
        *_column_notes(report, style or Style()),
        *_newest_is_empty(report),
        *(_other_settings(report) if with_other_settings else ()),
        *_comparison_notes(report),
        *_agreement_notes(report),
        *_unlisted(report),
        *remarks,
        *_row_notes(report),
        *_absent(report),
    ]
    return [plain(text) for text in texts]


def notes_for_readers(report: Report, style: Style | None = None) -> list[str]:
    """Return those notes that readers of a paper need: what the numbers are, not which commands."""
    if report.table.rows.is_published_only:
        return notes(report)
    remarks = [f"{remark}." for remark in report.table.rows.remarks]
    texts = [
        *_column_notes(report, style or Style()),
        *_comparison_notes(report),
        *remarks,
        *_row_notes(report),
    ]
    return [plain(text) for text in texts]


def footnotes(report: Report) -> list[str]:
    """Return a line for each mark: its letter, what it means, and the rows that have it."""
    lines: list[str] = []
    for footnote in report.footnotes:
        meaning = MEANINGS[footnote.code]
        rows = "; ".join(footnote.rows)
        lines.append(f"{meaning.letter} {footnote.code}: {meaning.sentence}. {rows}.")
    return lines


def verdicts(report: Report) -> list[str]:
    """Return a line for each claim of the paper: whether it held, and by which numbers.

    Claims of rows that are not done have no numbers; one line counts them.
    """
    judged = [each for each in report.verdicts if each.numbers]
    lines = [plain(_verdict(each, report)) for each in judged]
    waiting = len(report.verdicts) - len(judged)
    if waiting:
        lines.append(f"{'undecided':<12} {waiting} claims more, of rows that are not done")
    return lines


def _verdict(verdict: Verdict, report: Report) -> str:
    rest = [text for text in (verdict.numbers, verdict.reason) if text]
    if verdict.needs is not None:
        rest.append(f"{verdict.needs} seeds would decide it at this spread")
    claim = claim_text(verdict.claim, report)
    return f"{verdict.outcome:<12} {claim}: {'; '.join(rest)}".rstrip(": ")


def claim_text(claim: Claim, report: Report) -> str:
    """Return a claim as people read it, by the labels of its rows."""
    labels = [report.table.rows.rows[key].label for key in claim.rows]
    first = labels[0]
    if claim.kind == "above":
        return f"{first} above {labels[1]}"
    if claim.kind == "comparable" and claim.margin is not None:
        return f"{first} within ±{100 * claim.margin:g} points of {labels[1]}"
    return f"{first} {claim.kind}"


def _column_notes(report: Report, style: Style) -> Iterator[str]:
    """Say what the columns are."""
    rows = report.table.rows
    protocol = rows.protocol
    if report.table.setting is not None:
        protocol += f" (version {report.table.setting.version})"
    yield (
        f"ours: {protocol} accuracy of the {rows.network} encoder {_UNITS[style.unit]}, mean over n "
        "seeds ± half its 95% t-interval; it covers training seeds on one fixed test set."
    )
    if style.unit != "percent" and rows.printed is not None:
        yield "published numbers, and those of claims, are in percent, as printed."
    if rows.baselines:
        count = planned_comparisons(report.table.lines)
        baselines = ", ".join(rows.rows[key].label for key in rows.baselines)
        yield (
            f"vs baseline: mean difference {_difference_unit(style)}, seed by seed over the pairs, from "
            f"its method's baseline ({baselines}), with its 95% t-interval; p by Holm over the table's {count} "
            "comparisons, none below three pairs. Intervals and claims are not adjusted."
        )
    else:
        yield "this table names no baseline, so rows are not compared."
    yield (
        "collapsed: runs whose std·√d (spread of the online projections, 1 = even, 0 = a point) is "
        f"below {COLLAPSED_BELOW}. cos: online against target projections, same image / different "
        "images."
    )


def _difference_unit(style: Style) -> str:
    """Return what a difference is measured in."""
    if style.relative:
        return "as a part of the baseline's mean"
    return "in points" if style.unit == "percent" else "as a fraction"


def _newest_is_empty(report: Report) -> Iterator[str]:
    """Name the setting to look at while the newest, which is shown, has no result."""
    fuller = report.table.fuller
    if fuller is not None:
        filled = "complete" if fuller.is_complete() else "with results"
        yield (
            "the newest has no result of its own yet; "
            f"{filled}: --setting {fuller.id} ({fuller.sweep})"
        )


def _other_settings(report: Report) -> Iterator[str]:
    """Say what tells the other settings from the one that is shown.

    Runs of other tables' sweeps fit rows of this one too; their settings are only counted.
    """
    shown = report.table.setting
    if shown is None:
        return
    made_for_it = [other for other in report.table.others if other.feeds or not shown.feeds]
    for other in made_for_it[:_SHOWN_SETTINGS]:
        yield f"other setting {other.id} ({other.source}): {difference_text(other, shown)}"
    hidden = len(report.table.others) - len(made_for_it[:_SHOWN_SETTINGS])
    if hidden:
        yield f"{hidden} further settings have runs of rows: `sweep report` lists them"


def difference_text(setting: Setting, other: Setting) -> str:
    """Return in which keys a setting differs from another, the first of them with values."""
    pairs = [f"{key} {own} for {theirs}" for key, (own, theirs) in setting.unlike(other).items()]
    if not pairs:
        return "the same values, with rows that the other lacks"
    more = len(pairs) - _SHOWN_KEYS
    return ", ".join(pairs[:_SHOWN_KEYS]) + (f", and {more} keys more" if more > 0 else "")


def _comparison_notes(report: Report) -> Iterator[str]:
    """Say where the published numbers are not quite comparable."""
    table = report.table
    if table.setting is not None:
        unlike = table.rows.unlike_published(table.setting.values)
        if unlike:
            pairs = [f"{key} {ours} for {theirs}" for key, (ours, theirs) in unlike.items()]
            yield (
                f"published and ours differ ({', '.join(pairs)}): "
                "compare the order of the rows, not the numbers."
            )

    yield from _figure_notes(report)


def _agreement_notes(report: Report) -> Iterator[str]:
    """Say how far our order is the printed one, and which printed numbers our intervals miss."""
    agreement = report.agreement
    if agreement is not None:
        tied = (
            f", {agreement.tied_in_print} tied in print left out" if agreement.tied_in_print else ""
        )
        yield (
            f"order of the rows: Kendall's tau-b {agreement.tau:+.2f} over {agreement.n} rows{tied} "
            "(+1 is the printed order, -1 its reverse)."
        )
    for label, text in report.outside.items():
        yield f"{label}: {text}."
    if all(line.summary.n <= 1 for line in report.table.lines) and report.table.setting:
        yield "one seed per row has neither interval nor p: `sweep launch SPEC --seeds 0,1,2`."


def _figure_notes(report: Report) -> Iterator[str]:
    """Say what ≈ means: measured on the paper's figures, or "about" in its own words."""
    printed = [line.row.published for line in report.table.lines]
    if any(row.positive_cosine and not row.cosines_printed for row in printed):
        yield "≈ before cosines: measured on a published figure, error about 0.01."
    rough = [cell for row in printed for cell in row.columns.values() if cell.approximate]
    errors = {cell.error for cell in rough}
    if None in errors:
        yield "≈ without an error: the source itself says about."
    measured = sorted(100 * error for error in errors if error is not None)
    if measured:
        sizes = ", ".join(f"{size:.2g}" for size in measured)
        yield f"≈: measured on a published figure, error about {sizes} (in percent)."


def _unlisted(report: Report) -> Iterator[str]:
    """Name the variants that are rows of no table, and where they are shown."""
    if report.unlisted and report.table.setting is not None:
        names = ", ".join(report.unlisted[:_SHOWN_NAMES])
        more = len(report.unlisted) - _SHOWN_NAMES
        if more > 0:
            names += f" and {more} more"
        yield (
            f"variants of {report.table.setting.sweep} that are rows of none of its tables: {names}; "
            f"`sweep report {report.table.setting.sweep} --table variants` shows all."
        )


def _row_notes(report: Report) -> list[str]:
    """Say what a reader must know of single rows; what holds for several is said once."""
    labels: dict[str, list[str]] = {}
    for label, note in report.table.rows.notes.items():
        labels.setdefault(note, []).append(label)
    count = len(report.table.rows.rows)
    texts: list[str] = []
    for note, of in labels.items():
        names = "every row" if len(of) == count else "; ".join(of)
        texts.append(f"{names}: {note.rstrip('.')}.")
    return texts


def _absent(report: Report) -> Sequence[str]:
    """Say how absent rows come. Without a setting every row is, and the title says what to do."""
    table = report.table
    absent = sum(line.word == "absent" for line in table.lines)
    if not absent or table.setting is None:
        return []
    return [
        f"absent: no run of this setting for {absent} of {len(table.lines)} rows; "
        f"`sweep launch SPEC --table {table.rows.id}` starts a spec's."
    ]
