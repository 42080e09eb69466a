"""Renders a table as CSV, for a spreadsheet or another program.

There is a line per row and metric, as in the tidy model; accuracies are fractions in [0, 1].
"""

from typing import Any

import pandas as pd

from analysis.render.csv_cells import as_csv_text
from analysis.tables.tidy import COLUMNS, Report

_FRONT = ("table", "setting", "sweep", "protocol", "protocol_version", "network")


def as_csv(report: Report) -> str:
    """Return the text."""
    setting = report.table.setting
    rows = report.table.rows
    of_setting = ["", ""] if setting is None else [setting.id, setting.sweep]
    version = "" if setting is None else setting.version
    front = [rows.id, *of_setting, rows.protocol, version, rows.network]
    header = [*_FRONT, *COLUMNS]
    lines = ([*front, *map(_cell, line)] for line in report.frame.itertuples(index=False))
    return as_csv_text(header, lines).rstrip("\n")


def _cell(value: Any) -> Any:
    """Return a value as a spreadsheet takes it: several as one text, none as an empty cell."""
    if isinstance(value, tuple):
        return "; ".join(value)
    if isinstance(value, dict):
        return "; ".join(f"{seed}={number:.6g}" for seed, number in value.items())
    return "" if pd.isna(value) else value
