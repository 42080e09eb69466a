"""Reads results.db.

* ``connect`` opens it, unable to change it.
* ``runs`` reads runs as tables want them.
* ``sweeps`` reads what the specs of sweeps ask for, launched or not.
* ``provenance`` reads attempts, and the sweeps that asked for runs.
* ``points`` reads what runs logged while training, metric by metric.
* ``relations`` gives flat relations with typed columns, for notebooks and export.
"""
