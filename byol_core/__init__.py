"""Trains one run of BYOL or an ablation of it, without database, scheduler or sweep.

Run one by hand with ``python -m byol_core --preset digits-tiny --out DIR``. Importing this package
loads no torch.

* ``streams`` gives random numbers a name instead of a global generator.
* ``protocols`` names the ways to evaluate an encoder, and their versions.
* ``points`` puts a point of the metric series in words.
* ``plugins`` loads parts that users write themselves.
* ``kept_networks`` looks at networks that a run has kept for others to start from.
* ``device`` picks where a run computes, ``precision`` in which numbers.
* ``allocator`` has a process keep the memory that it frees.
"""
