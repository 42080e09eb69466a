"""Rebuilds one table: which runs are comparable, statistics, marks.

* ``build`` fills the rows of a table.
* ``completeness`` counts what there is of each table.
* ``settings`` tells runs of one setting from others.
* ``collapse`` judges when a run counts as collapsed.
* ``stats`` computes means, intervals and differences.
* ``reproduces`` judges whether a table's claims held.
* ``agreement`` compares our order and numbers with the printed ones.
"""
