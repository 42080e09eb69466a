"""Rebuilds one table: which runs are comparable, statistics, marks.

``build`` fills the rows, ``settings`` tells runs of one setting from others, ``collapse`` judges
collapse, ``stats`` counts.
"""
