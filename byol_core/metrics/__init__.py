"""Measures what training does not optimize.

* ``measure`` is what a step calls; it waits for nothing.
* ``collapse`` computes the signs of collapse of a batch.
* ``predictor_gap`` compares a predictor with the best linear one.
* ``spectra`` computes effective ranks, and how a predictor lies in the projections' directions.
* ``accumulate`` adds up what steps measure, and reads it.
"""
