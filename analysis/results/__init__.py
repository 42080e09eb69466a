"""Reads results.db.

* ``connect`` opens it, unable to change it.
* ``runs`` reads runs as tables want them.
* ``relations`` gives flat relations with typed columns, for notebooks and export.
"""
