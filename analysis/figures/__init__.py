"""Figures, one file per kind: ``table`` draws a table's rows, ``curves`` a metric over training."""
