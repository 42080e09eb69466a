"""Reads results.db.

* ``connect`` opens it, unable to change it.
* ``runs`` reads runs as tables want them.
* ``sweeps`` reads what the specs of sweeps ask for, launched or not.
* ``relations`` gives flat relations with typed columns, for notebooks and export.
"""
