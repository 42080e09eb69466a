"""results.db, an index of the run folders: its tables, opening, collecting, rebuilding. The only
writer of the index.

``schema`` declares the tables, ``connect`` opens a database. ``collect`` makes a pass: ``read_run``
reads what is new, ``digests`` tells what changed, ``write_rows`` writes it. ``rebuild`` makes the
database again, or proves that it is right.
"""
