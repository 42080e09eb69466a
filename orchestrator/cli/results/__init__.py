"""Holds the commands that print or write results; each is a file of its own.

* ``report`` holds `sweep report`, which rebuilds a table.
* ``report_options`` holds its options of one table, and refuses what does not go together.
* ``tables_list`` prints which tables there are, where none is named.
* ``colours`` colours its text for a terminal.
* ``page`` writes the page of all tables for `sweep report --all`.
* ``why`` holds `sweep why`, which follows a cell back to its runs.
* ``why_text`` writes what that prints.
* ``manifest`` reads and writes manifests for the commands.
* ``verify`` holds `sweep verify`, which derives a manifest's numbers again.
* ``export`` holds `sweep export`, which writes all of results.db as files.
"""
