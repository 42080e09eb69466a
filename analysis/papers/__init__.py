"""Holds the published side of each table as data, and loads nothing heavy.

tables/*.yaml says which rows a table has, published/*.yaml what was printed.

* ``rows`` reads both and finds the row that a run belongs to.
* ``printed`` reads the published numbers.
* ``claims`` reads what a table says of the order of its rows.
* ``nearest`` names the nearest name to one that was misspelt.
"""
