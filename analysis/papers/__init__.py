"""Holds the published side of each table as data, and loads nothing heavy.

tables/*.yaml says which rows a table has, published/*.yaml what was printed.

* ``rows`` reads both: a table of ours, one with a published side alone, or a file of a user's own.
* ``table_rows`` holds a table and finds the row that a run belongs to.
* ``table_names`` names all tables.
* ``of_sweep`` makes the table of a sweep's variants.
* ``definition_file`` is the schema of a table's file, ``rows_over_axes`` makes its rows.
* ``printed_file`` is the schema of a published file, ``printed_reader`` reads it into ``printed``.
* ``row_checks`` refuses rows that no run could be of.
* ``claims`` reads what a table says of the order of its rows.
* ``chance`` tells how accurate guessing is.
* ``strict_file`` reads YAML and refuses what does not fit in one line.
* ``nearest`` names the nearest name to one that was misspelt.
* ``plain_text`` makes names safe to print.
"""
