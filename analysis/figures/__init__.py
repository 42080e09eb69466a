"""Draws figures: a file for each kind, with what they share.

Kinds, which ``kinds`` names:

* ``table`` draws a table's rows with intervals, seeds and published values.
* ``drop`` draws how far each row lies from its baseline.
* ``axis`` draws a table over the number that its rows differ in.
* ``heat_map`` draws one over two such numbers.
* ``cosines`` draws the cosines of positives and negatives as bars.
* ``over_time`` draws metrics of a table's rows over training.
* ``curves`` draws a metric of some runs over training.

What they share:

* ``style`` holds colours, markers and sizes; ``fit`` fits texts into a width; ``page`` lays a figure
  out; ``files`` makes its file: PNG, SVG or PDF.
* ``facts`` says what stands below every figure; ``standing`` tells how a row stands and looks.
* ``by_row`` draws figures with a line per row, ``over_axis`` those over an axis, ``curve_lines``
  those over training.
"""
