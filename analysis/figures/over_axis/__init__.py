"""Holds what figures over the numbers that rows differ in share.

* ``values`` finds these numbers, and where each stands on an axis.
* ``groups`` sorts rows into lines, and those beside the axis.
* ``marks`` draws lines with bands and seeds, and places without a value.
* ``legend`` gives lines their styles, and explains them.
"""
