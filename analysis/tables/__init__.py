"""Rebuilds one table: which runs are comparable, statistics, marks.

* ``build`` rebuilds a table for one setting.
* ``settings`` tells runs of one setting from others, ``setting_index`` finds those that agree.
* ``asked`` tells what sweeps ask for, ``completeness`` counts what there is of it.
* ``line`` makes one line, ``compare`` compares lines with their baselines.
* ``marks`` names what a reader must know of a cell.
* ``tidy`` makes the one model that all formats read.
* ``collapse`` judges when a run counts as collapsed.
* ``stats`` computes means, intervals and differences.
* ``evidence`` gathers what lines say of claims, ``reproduces`` judges whether those held.
* ``agreement`` compares our order and numbers with the printed ones.
"""
