"""Judges whether a run counts as collapsed.

It is judged when reading, from what the run stored; the threshold belongs to the report.
"""

import math
from collections.abc import Mapping

COLLAPSED_BELOW = 0.1
"""std·√d of the online projections, mean over the last epoch. Measured on digits: rows that learn
.34 to .94, collapsed rows .00 to .06 (docs/log.md).
"""


def is_collapsed(final: Mapping[str, float]) -> bool | None:
    """Judge a run by its `final` summary.

    Returns:
        None for a run that trained nothing, or whose std·√d is not a number.
    """
    std_sqrt_d = final.get("std_sqrt_d")
    if std_sqrt_d is None or math.isnan(std_sqrt_d):
        return None
    return std_sqrt_d < COLLAPSED_BELOW
