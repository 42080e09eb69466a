"""Reads results.db and rebuilds the papers' tables, with statistics and figures.

Our numbers stand beside the published ones.

* ``report`` is the door for the command line: it rebuilds a table.
* ``formats`` renders one in any format.
* ``load`` is the door for notebooks: results as DataFrames.
* ``errors`` holds the type of all errors.
"""
