"""When a run counts as collapsed. Judged when reading, from what the run stored; the threshold
belongs to the report.
"""

import math
from collections.abc import Mapping

COLLAPSED_BELOW = 0.1
"""std·√d of the online projections, mean over the last epoch. Measured on digits: rows that learn
.34 to .94, collapsed rows .00 to .06 (docs/log.md).
"""


def is_collapsed(final: Mapping[str, float]) -> bool | None:
    """Judge a run by its `final` summary; None for one that trained nothing, or whose spread is no
    number.
    """
    spread = final.get("std_sqrt_d")
    return None if spread is None or math.isnan(spread) else spread < COLLAPSED_BELOW
