"""Measures what training does not optimize.

* ``collapse`` computes the signs of collapse of a batch.
"""
