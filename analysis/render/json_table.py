"""Renders a table as JSON, the stable form that `sweep report --format json` prints.

Fractions are in [0, 1]; null stands for no value. Each row has its accuracy, and under `metrics` all
else that was measured.
"""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.tables.settings import Setting
from analysis.tables.tidy import Report

_ROW_KEYS = ("label", "method")
_SIGNS = ("std_sqrt_d", "positive_cosine", "negative_cosine")


def as_json(report: Report) -> str:
    """Return the text."""
    document = as_document(report)
    parts = [f' "{key}": {_part(key, value)}' for key, value in document.items()]
    return "{\n" + ",\n".join(parts) + "\n}"


def _part(key: str, value: Any) -> str:
    """Return the text of a part of the document.

    Settings that the table is not shown for may be hundreds: each has one line, which is written
    ten times as fast as a line for each of its values.
    """
    if key == "other_settings" and value:
        return "[\n  " + ",\n  ".join(_dumped(setting) for setting in value) + "\n ]"
    return _dumped(value, indent=1).replace("\n", "\n ")


def _dumped(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)


def as_document(report: Report) -> dict[str, Any]:
    """Return what the text says, as plain values."""
    rows = report.table.rows
    setting = report.table.setting
    metric: dict[str, Any] = {}
    if not rows.is_published_only:
        metric = {"protocol": rows.protocol, "network": rows.network, "name": rows.metric}
    return {
        "table": rows.id,
        "title": rows.title,
        "metric": {**metric, "version": setting.version if setting else None},
        "setting": _setting(setting) if setting else None,
        "other_settings": [_setting(other) for other in report.table.others],
        "published_source": rows.published_source,
        "published_setting": rows.published_setting,
        "published_setting_unknown": report.table.unknown_data or None,
        "rank_agreement": _agreement(report),
        "rows": _rows(report),
        "claims": [_claim(verdict) for verdict in report.verdicts],
        "variants_of_no_table": list(report.unlisted),
    }


def _setting(setting: Setting) -> dict[str, Any]:
    return {
        "id": setting.id,
        "sweep": setting.sweep,
        "launched_at": setting.launched_at,
        "description": setting.summary_text(),
        "values": dict(setting.values),
    }


def _rows(report: Report) -> list[dict[str, Any]]:
    """Return the rows; of a table that is published alone, what each column of it prints."""
    if not report.table.rows.is_published_only:
        return [_row(report, line) for line in report.main.to_dict("records")]
    names = ("label", "metric", "unit", "published", "published_pm", "published_as_printed")
    return [
        {name: _value(line[name]) for name in names} for line in report.frame.to_dict("records")
    ]


def _row(report: Report, line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row: its main metric, and what else was measured."""
    row = report.table.rows.rows[line["row"]]
    published = row.published
    cosines = None
    if published.positive_cosine is not None:
        cosines = [published.positive_cosine, published.negative_cosine]

    values = {key: _value(value) for key, value in line.items()}
    collapsed = None
    if values["trained"] is not None:
        collapsed = [values["collapsed"], values["trained"]]
    return {
        "label": values["label"],
        "method": values["method"],
        "overrides": dict(row.match),
        "published": values["published"],
        "published_pm": values["published_pm"],
        "published_as_printed": values["published_as_printed"],
        "published_lies": values["published_lies"],
        "published_is_read_off_a_figure": published.approximate,
        "published_cosines": cosines,
        "n": values["n"],
        "values": values["values"],
        "mean": values["mean"],
        "std": values["std"],
        "half_range": values["half_range"],
        "ci95": _pair(values["ci95_low"], values["ci95_high"]),
        "baseline": values["baseline"],
        "delta": values["delta"],
        "delta_ci95": _pair(values["delta_low"], values["delta_high"]),
        "n_pairs": values["n_pairs"],
        "p_holm": values["p_holm"],
        "state": values["state"],
        "done": values["done"],
        "asked": values["asked"],
        "marks": values["marks"],
        "codes": values["codes"],
        "collapsed": collapsed,
        **{name: _value(report.sign(line["row"], name)) for name in _SIGNS},
        "run_ids": values["run_ids"],
        "metrics": _metrics(report, line["row"]),
    }


def _metrics(report: Report, row: str) -> dict[str, Any]:
    """Return metric → its mean, spread and values, of all that a row has beside its accuracy."""
    of_row = report.frame[report.frame["row"] == row]
    others = of_row[of_row["metric"] != report.table.rows.metric]
    metrics: dict[str, Any] = {}
    for line in others.to_dict("records"):
        metrics[line["metric"]] = {key: _value(line[key]) for key in ("mean", "std", "n", "values")}
    return metrics


def _agreement(report: Report) -> dict[str, Any] | None:
    if report.agreement is None:
        return None
    return {"kendall_tau_b": report.agreement.tau, "rows": report.agreement.n}


def _claim(verdict: Any) -> dict[str, Any]:
    return {
        "kind": verdict.claim.kind,
        "rows": list(verdict.claim.rows),
        "margin": verdict.claim.margin,
        "outcome": verdict.outcome,
        "numbers": verdict.numbers,
        "seeds_that_would_decide": verdict.needs,
        "reason": verdict.reason,
    }


def _pair(low: float | None, high: float | None) -> list[float] | None:
    return None if low is None or high is None else [low, high]


def _value(value: Any) -> Any:
    """Return a cell of the frame as JSON has it."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return {str(seed): number for seed, number in value.items()}
    return None if pd.isna(value) else value
