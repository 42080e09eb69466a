"""A table as JSON: the stable form that `sweep report --format json` prints. Fractions in [0, 1],
null for no value.
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
    """Return what the text says."""
    rows = table.rows
    return {
        "table": rows.id,
        "title": rows.title,
        "metric": {"protocol": rows.protocol, "network": rows.network, "name": rows.metric},
        "setting": _setting(table.setting) if table.setting else None,
        "other_settings": [_setting(one) for one in table.others],
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
    published, summary, difference = line.row.published, line.summary, line.difference
    cosines = [published.positive_cosine, published.negative_cosine]
    return {
        "label": line.row.label,
        "method": line.row.method,
        "overrides": dict(line.row.match),
        "published": published.value,
        "published_pm": published.pm,
        "published_cosines": cosines if published.positive_cosine is not None else None,
        "n": summary.n,
        "values": {str(seed): value for seed, value in line.values.items()},
        "mean": summary.mean,
        "std": summary.std,
        "half_range": summary.half_range,
        "ci95": list(summary.ci95) if summary.ci95 else None,
        "baseline": line.baseline,
        "delta": difference.delta if difference else None,
        "delta_ci95": list(difference.ci95) if difference and difference.ci95 else None,
        "p_holm": line.p_holm,
        "state": line.state,
        "marks": list(line.marks),
        "collapsed": list(line.collapsed) if line.collapsed else None,
        "std_sqrt_d": _finite(line.final.get("std_sqrt_d")),
        "positive_cosine": _finite(line.final.get("positive_cosine")),
        "negative_cosine": _finite(line.final.get("negative_cosine")),
        "run_ids": list(line.run_ids),
    }


def _finite(value: float | None) -> float | None:
    """JSON knows no NaN: a mean over a run that has none."""
    return value if value is not None and math.isfinite(value) else None
