"""Reads results.db and rebuilds the papers' tables: numbers beside the published ones, with
statistics and figures.

* ``report`` is the door for the command line: one table in any format.
* ``load`` is the door for notebooks: results as DataFrames.
"""
