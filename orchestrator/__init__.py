"""From a spec to variants, runs, jobs and results.db: the `sweep` command.

Importing it loads no torch and no pandas. The packages stand on floors, and each imports from lower
ones only: docs/parts.md has the picture. Here at the ground stand what every package needs:

* ``errors`` declares what can go wrong, as types.
* ``text`` makes text safe to print and pleasant to read.

Above all the others stands the door for notebooks and programs:

* ``api`` does what the `sweep` command does.
"""
