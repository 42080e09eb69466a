"""Makes the JSON files and the tables of measurements; every figure shown is computed here."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from textwrap import wrap
from typing import Any

from trainers.cases import GROUP_NORM, MODES, OURS

_BUSY = 0.1
"""Above this part of the processors in others' hands, seconds of the wall say little."""
_HEADINGS = ("", "images/s", "a core-s", "ms a step", "of peak")
_GB = 1e9
_WIDTH = 80
MARKS = ("<!-- tables -->", "<!-- end of tables -->")
"""Comments of a Markdown file that the tables stand between."""


def file_name(result: dict[str, Any]) -> str:
    """Return a name that tells the files of a folder apart."""
    settings = result["settings"]
    size = "".join(
        f"-{letter}{settings[key]}"
        for letter, key in (("b", "batch"), ("s", "side"), ("r", "runs"))
        if settings[key]
    )
    moment = result["made"].replace(":", "").replace("+0000", "Z")
    return f"{result['case']}{size}-{settings['precision']}-{moment}.json"


def write_result(result: dict[str, Any], path: Path) -> Path:
    """Write a measurement with all its times; return where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def read_results(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the measurements of a folder, in order of their names."""
    for path in sorted(folder.glob("*.json")):
        yield json.loads(path.read_text())


def put_between_marks(path: Path, text: str) -> bool:
    """Put a text in place of what stands between the marks of a file; False where it has none."""
    whole = path.read_text() if path.is_file() else ""
    before, start, rest = whole.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not (start and end):
        return False
    path.write_text(f"{before}{start}\n\n{text}\n{end}{after}")
    return True


def rates(result: dict[str, Any], who: str, mode: str, per: str = "wall_s") -> list[float]:
    """Return the images a second of each turn: of the wall, or `core_s`, of a processor.

    Runs side by side are added up by the wall; by processors their mean counts.
    """
    per_turn: list[float] = []
    for turn in result["turns"]:
        if (turn["who"], turn["mode"]) != (who, mode):
            continue
        batch = result["contestants"][who]["batch"]
        each = [batch * run["steps"] / run[per] for run in turn["runs"]]
        per_turn.append(sum(each) if per == "wall_s" else sum(each) / len(each))
    return per_turn


def ratios(result: dict[str, Any], other: str, mode: str, per: str = "wall_s") -> list[float]:
    """Return ours by the other's of each pair of turns; GN+WS by batch norm."""
    pairs = zip(rates(result, OURS, mode, per), rates(result, other, mode, per), strict=False)
    if other == GROUP_NORM:
        return [theirs / mine for mine, theirs in pairs]
    return [mine / theirs for mine, theirs in pairs]


def share_of_peak(result: dict[str, Any], who: str, mode: str, per: str) -> float | None:
    """Return the part of the measured matrix peak that a trainer's network operations reach."""
    flops = result["contestants"][who].get("flops")
    if not flops:
        return None
    unit = {"wall_s": "wall", "core_s": "core"}[per]
    per_image = flops / result["contestants"][who]["batch"]
    share: float = median(rates(result, who, mode, per)) * per_image / result["peak"][unit]
    return share


def others_share(result: dict[str, Any]) -> float:
    """Return the part of the processors that other processes used: the median of turns."""
    shares: list[float] = []
    for turn in result["turns"]:
        runs = turn["runs"]
        busy_s = sum(run["busy_s"] for run in runs) / len(runs)
        others_s = busy_s - sum(run["core_s"] for run in runs)
        wall_s = sum(run["wall_s"] for run in runs) / len(runs)
        shares.append(max(0.0, others_s / wall_s / result["settings"]["cores"]))
    return median(shares)


def as_text(result: dict[str, Any], is_markdown: bool) -> str:
    """Return the tables of a measurement."""
    lines = [_title(result, is_markdown), ""]
    for mode, meaning in MODES.items():
        present = [who for who in result["contestants"] if rates(result, who, mode)]
        if present:
            lines += [f"{meaning[0].upper()}{meaning[1:]}:", ""]
            lines += [*_table(_mode_rows(result, mode, present), is_markdown), ""]
            for ratio in _ratio_lines(result, mode, present):
                lines += _paragraph(ratio, is_markdown)
            lines.append("")
    details = _detail_rows(result)
    if len(details) > 1:
        lines += [*_table(details, is_markdown), ""]
    for note in _notes(result):
        lines += _paragraph(note, is_markdown)
    return "\n".join([*lines, ""])


def _paragraph(text: str, is_markdown: bool) -> list[str]:
    """Return a text in lines that a terminal shows whole, or as an item of a Markdown list."""
    return [f"- {text}"] if is_markdown else wrap(text, _WIDTH)


def _title(result: dict[str, Any], is_markdown: bool) -> str:
    settings = result["settings"]
    batches = [side["batch"] for side in result["contestants"].values()]
    parts = [result["what"]]
    if settings["side"]:
        parts.append(f"at {settings['side']}×{settings['side']}")
    parts += [f"batch {batches[0]}" if batches else "", settings["precision"]]
    if settings["device"] == "cpu":
        parts.append(f"threads {settings['threads']}")
    if settings["runs"] > 1:
        parts.append(f"{settings['runs']} runs side by side")
    text = f"{result['case']}: {', '.join(part for part in parts if part)}"
    return f"### {text}" if is_markdown else text


def _mode_rows(result: dict[str, Any], mode: str, present: Sequence[str]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [_HEADINGS]
    for who in present:
        by_wall = median(rates(result, who, mode))
        step_ms = 1000 * result["contestants"][who]["batch"] * result["settings"]["runs"] / by_wall
        share = share_of_peak(result, who, mode, _per(result))
        rows.append(
            (
                _label(result, who),
                _number(by_wall),
                _number(median(rates(result, who, mode, "core_s"))),
                _number(step_ms),
                "" if share is None else f"{share:.2f}",
            )
        )
    return rows


def _ratio_lines(result: dict[str, Any], mode: str, present: Sequence[str]) -> list[str]:
    """Return the medians of the pairs' ratios, with their ranges."""
    lines: list[str] = []
    for other in present:
        if other == OURS or OURS not in present:
            continue
        names = (OURS, other) if other != GROUP_NORM else (GROUP_NORM, OURS)
        wall, core = (_range(ratios(result, other, mode, per)) for per in ("wall_s", "core_s"))
        lines.append(f"{names[0]} by {names[1]}: {wall}; by core-second {core}")
    return lines


def _detail_rows(result: dict[str, Any]) -> list[Sequence[str]]:
    """Return what is known of each trainer besides speed, a row each."""
    rows: list[Sequence[str]] = [
        ("", "start s", "GB", "GFLOP an image", "a step starts, alone/used")
    ]
    for who, side in result["contestants"].items():
        if "flops" not in side:
            continue
        started = ", ".join(
            f"{alone}/{side['kernels']['used'][what]} {what}"
            for what, alone in side["kernels"]["step"].items()
        )
        rows.append(
            (
                _label(result, who),
                _number(sum(side["start_s"].values())),
                f"{side['memory'] / _GB:.2f}",
                f"{side['flops'] / side['batch'] / 1e9:.3f}",
                started,
            )
        )
    return rows


def phase_shares(result: dict[str, Any]) -> dict[str, float]:
    """Return each phase's part of a step, views and draws included; the rest is `other`."""
    per = "wall_s" if result["settings"]["device"] != "cpu" else "core_s"
    seconds = {name: spent[per] for name, spent in result["phases"].items()}
    whole = seconds.pop("whole step") + seconds["draws"] + seconds["views"]
    seconds["other"] = whole - sum(seconds.values())
    order = ("draws", "views", "forward", "backward", "optimizer and average", "measure", "other")
    return {name: seconds.get(name, 0.0) / whole for name in order}


def _notes(result: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    if result["phases"]:
        shares = ", ".join(
            f"{name} {100 * part:.1f}" for name, part in phase_shares(result).items()
        )
        lines.append(f"Of a step of ours, in percent: {shares}.")
    if "peak" in result:
        lines.append(
            f"Matrix peak here: {result['peak']['wall'] / 1e9:.0f} GFLOP/s in "
            f"{result['settings']['precision']}."
        )
    for who, reason in result["absent"].items():
        lines.append(f"Not measured: {who} ({reason}).")
    if result["turns"] and _is_busy(result):
        lines.append(
            f"Provisional: other processes used {100 * others_share(result):.0f} % of the "
            "processors, so only figures by core-second compare."
        )
    machine = next(iter(result["contestants"].values()), {}).get("machine")
    if machine:
        packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
        lines.append(f"{machine['device']}, Python {machine['python']}, {packages}.")
    return lines


def _per(result: dict[str, Any]) -> str:
    """Return the seconds that the share of the peak is counted in."""
    is_slowed = result["settings"]["device"] == "cpu" and _is_busy(result)
    return "core_s" if is_slowed else "wall_s"


def _is_busy(result: dict[str, Any]) -> bool:
    return others_share(result) > _BUSY


def _label(result: dict[str, Any], who: str) -> str:
    if who in (OURS, GROUP_NORM):
        return who
    return f"{who} {result['contestants'][who]['version']}"


def _number(value: float) -> str:
    """Return three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _range(values: Sequence[float]) -> str:
    if not values:
        return ""
    count = "1 pair" if len(values) == 1 else f"{len(values)} pairs"
    return f"{median(values):.2f}× ({min(values):.2f}–{max(values):.2f}, {count})"


def _table(rows: Sequence[Sequence[str]], is_markdown: bool) -> list[str]:
    """Return a table for a terminal, or in Markdown."""
    if is_markdown:
        ruled = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
        return [f"| {' | '.join(row)} |" for row in ruled]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines: list[str] = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines
