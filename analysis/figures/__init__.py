"""Draws figures, one file per kind.

* ``table`` draws a table's rows with intervals, seeds and published values.
* ``curves`` draws a metric over training.
* ``files`` makes the file of a figure: PNG, SVG or PDF.
"""
