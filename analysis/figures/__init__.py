"""Draws figures, one file per kind.

* ``table`` draws a table's rows with intervals, seeds and published values.
* ``curves`` draws a metric over training.
"""
