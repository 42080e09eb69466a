"""Holds the command line: each command parses its options, calls one function and prints.

One file holds a group of commands, and is named with a word that a user types.

* ``start`` makes sure that all three packages are ours, then runs ``main``.
* ``main`` is the `sweep` command and turns errors into text and exit statuses.
* ``arguments`` reads options that may stand anywhere, and arguments of several values.
* ``context`` opens the root and the database that the global options name.
* ``help`` keeps Python's types out of the help pages.
* ``complete`` answers the shell that completes a word.
* ``display`` shows what a command prints, and lets it go on where that fails.
* ``output`` decides in which format a file is written.
* ``console`` decides how wide the output is.
* ``launch`` holds `sweep launch`.
* ``inspect`` holds `status`, `show`, `diff` and `logs`, which change nothing.
* ``runs`` holds `runs`, which lists them.
* ``annotate`` holds `exclude`, `include`, `note` and `forget`.
* ``results/`` holds `report` and `export`, a file each.
* ``maintenance`` holds `cancel`, `clean`, `rebuild` and `data fetch`.
* ``doctor`` holds `sweep doctor`.
* ``keys`` holds `keys` and `schema`, which say what a spec may set.
* ``install`` holds `init` and `--version`.
"""
