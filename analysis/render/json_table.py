"""Renders a table as JSON, the stable form that `sweep report --format json` prints.

Fractions are in [0, 1]; null stands for no value.
"""

import json
import math
from typing import Any

from analysis.tables.build import Line, Table
from analysis.tables.settings import Setting


def as_json(table: Table) -> str:
    """Return the text."""
    return json.dumps(as_document(table), indent=1, ensure_ascii=False, allow_nan=False)


def as_document(table: Table) -> dict[str, Any]:
    """Return what the text says, as plain values."""
    rows = table.rows
    setting = None
    version = None
    if table.setting is not None:
        setting = _setting(table.setting)
        version = table.setting.version
    metric = {"protocol": rows.protocol, "network": rows.network, "name": rows.metric}
    return {
        "table": rows.id,
        "title": rows.title,
        "metric": {**metric, "version": version},
        "setting": setting,
        "other_settings": [_setting(other) for other in table.others],
        "published_source": rows.published_source,
        "published_setting": rows.published_setting,
        "rows": [_line(line) for line in table.lines],
    }


def _setting(setting: Setting) -> dict[str, Any]:
    return {
        "id": setting.id,
        "sweep": setting.sweep,
        "launched_at": setting.launched_at,
        "description": setting.summary_text(),
        "values": dict(setting.values),
    }


def _line(line: Line) -> dict[str, Any]:
    published = line.row.published
    cosines = None
    if published.positive_cosine is not None:
        cosines = [published.positive_cosine, published.negative_cosine]

    # The difference of a baseline is null, as is that of a row without a shared seed.
    delta = None
    delta_ci95 = None
    if line.difference is not None:
        delta = line.difference.delta
        delta_ci95 = _list(line.difference.ci95)

    summary = line.summary
    return {
        "label": line.row.label,
        "method": line.row.method,
        "overrides": dict(line.row.match),
        "published": published.value,
        "published_pm": published.pm,
        "published_as_printed": published.text,
        "published_cosines": cosines,
        "n": summary.n,
        "values": {str(seed): value for seed, value in line.values.items()},
        "mean": summary.mean,
        "std": summary.std,
        "half_range": summary.half_range,
        "ci95": _list(summary.ci95),
        "baseline": line.baseline,
        "delta": delta,
        "delta_ci95": delta_ci95,
        "p_holm": line.p_holm,
        "state": line.state,
        "marks": list(line.marks),
        "collapsed": _list(line.collapsed),
        "std_sqrt_d": _finite(line.final.get("std_sqrt_d")),
        "positive_cosine": _finite(line.final.get("positive_cosine")),
        "negative_cosine": _finite(line.final.get("negative_cosine")),
        "run_ids": list(line.run_ids),
    }


def _list(pair: tuple[float, float] | None) -> list[float] | None:
    if pair is None:
        return None
    return list(pair)


def _finite(value: float | None) -> float | None:
    """Return null for a mean over a run that has no such number: JSON knows no NaN."""
    if value is None or not math.isfinite(value):
        return None
    return value
