"""Holds the commands that print or write results; each is a file of its own.

* ``report`` holds `sweep report`, which rebuilds a table.
* ``export`` holds `sweep export`, which writes all of results.db as files.
"""
