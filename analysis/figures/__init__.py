"""Draws figures: a file for each kind, with what they share.

Kinds:

* ``table`` draws a table's rows with intervals, seeds and published values.
* ``drop`` draws how far each row lies from its baseline.
* ``axis`` draws a table over the number that its rows differ in.
* ``cosines`` draws the cosines of positives and negatives as bars.
* ``curves`` draws a metric of some runs over training.

What they share:

* ``style`` holds colours, markers and sizes; ``fit`` fits texts into a width; ``page`` lays a figure
  out; ``files`` makes its file: PNG, SVG or PDF.
* ``facts`` says what stands below every figure; ``standing`` tells how a row stands and looks.
* ``row_frame``, ``row_marks`` and ``row_legend`` draw figures with a line per row.
* ``axis_values``, ``axis_groups``, ``axis_marks`` and ``axis_legend`` draw those over an axis.
"""
