"""Writes results.db, an index of the run folders; nothing else does.

* ``schema`` declares the tables.
* ``views`` gives people plain views of them.
* ``address`` tells what a path or URL of a database means.
* ``connect`` opens a database, or makes one.
* ``collect`` makes one pass over the files: what is new goes into the index.
* ``stamps`` tells whether the folder of a run has changed.
* ``read_run`` reads what is new of a run.
* ``annotation_rows`` reads what people say of runs and sweeps.
* ``write_rows`` writes it.
* ``roots`` gives a root one name, and notes when it was last collected.
* ``digests`` tells which sweeps have changed.
* ``part`` makes a database of some runs alone, for a while.
* ``rebuild`` makes the database again, or proves that it is right.
"""
