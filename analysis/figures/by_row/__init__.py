"""Holds what figures with a line per row share.

* ``frame`` lays out labels, panels and the notes beside them.
* ``marks`` draws means, intervals, seeds, published values and rows without a number.
* ``legend`` explains these marks.
"""
