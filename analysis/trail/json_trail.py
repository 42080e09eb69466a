"""Renders a row's trail as JSON, the stable form that `sweep why TABLE ROW --json` prints."""

import json
import math
from dataclasses import asdict
from typing import Any

from analysis.tables.tidy import Report
from analysis.trail.follow import RowTrail, RunTrail
from analysis.trail.relaunch import Command


def as_json(trail: RowTrail, report: Report) -> str:
    """Return the text; null stands for what is not known, and for a value that is not finite."""
    line = next(line for line in report.table.lines if line.row.key == trail.key)
    published = line.row.published
    document = {
        "table": trail.table,
        "setting": trail.setting,
        "row": trail.key,
        "label": trail.label,
        "state": trail.state,
        "marks": [str(mark) for mark in trail.marks],
        "n": line.summary.n,
        "mean": line.summary.mean,
        "published_as_printed": published.text,
        "published_source": published.source or report.table.rows.published_source,
        "published_setting_unknown": report.table.unknown_data or None,
        "baseline": trail.baseline,
        "differs": {key: list(values) for key, values in trail.differs.items()},
        "runs": [_run(run) for run in trail.runs],
        "missing_seeds": list(trail.missing),
        "commands": [_command(command) for command in trail.commands],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def _run(trail: RunTrail) -> dict[str, Any]:
    run = trail.run
    is_finite = trail.value is not None and math.isfinite(trail.value)
    return {
        "run_id": run.run_id,
        "seed": run.seed,
        "state": run.state,
        "outcome": run.outcome,
        "value": trail.value if is_finite else None,
        "counts": trail.counts,
        "reason": trail.reason or None,
        "excluded": run.excluded,
        "wall_s": trail.wall_s,
        "attempts": [asdict(attempt) for attempt in trail.attempts],
        "commands": [_command(command) for command in trail.commands],
    }


def _command(command: Command) -> dict[str, str]:
    return {"purpose": command.purpose, "text": command.text}
