"""Reads results.db and rebuilds the papers' tables, with statistics and figures.

Our numbers stand beside the published ones.

* ``report`` is the door for the command line: it rebuilds a table.
* ``formats`` renders one in any format.
* ``load`` is the door for notebooks: results as DataFrames.
* ``errors`` holds the type of all errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def table(
    name: str,
    setting: str | None = None,
    sweeps: Sequence[str] = (),
    db: str | Path = "results.db",
) -> pd.DataFrame:
    """Return a table's tidy model; `analysis.load.table` says what it holds, and loads pandas."""
    from analysis import load

    return load.table(name, setting, sweeps, db)
