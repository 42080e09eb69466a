"""Trainers of BYOL side by side, for ``throughput.py``: each in a process of its own.

* ``cases`` are the networks and sizes, as data.
* ``ours`` is the package's own step, ``lightly`` and ``solo_learn`` are the others' recipes.
* ``pictures`` makes the random images, and the parts that both others share.
* ``networks`` is each case's encoder in torchvision's classes, for trainers that are given one.
* ``clocks`` times a turn, and what else ran meanwhile; ``probes`` measures peak, kernels, memory.
* ``worker`` is the process of one trainer, ``turns`` the side that asks it.
* ``report`` makes JSON files and tables.
"""
