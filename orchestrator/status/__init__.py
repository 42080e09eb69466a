"""Looks at sweeps, at one run and at two, and changes nothing.

* ``run_status`` says of one run how it stands.
* ``sweep_status`` reads from the database how sweeps stand.
* ``verdict`` puts that into one word and one line.
* ``pace`` measures how fast runs are.
* ``forecast`` estimates how long a sweep will take.
* ``usage`` counts the hours that it has used.
* ``show`` finds all that is known of one run.
* ``provenance`` finds where a result comes from.
* ``reproduce`` writes down the commands that make a run again.
* ``remarks`` says what people said of runs and sweeps.
* ``runs_list`` finds and sorts runs.
* ``runs_source`` reads what is told of each.
* ``runs_text`` prints a list of them.
* ``diff`` compares two runs.
* ``logs`` prints what a run printed.
* ``folding`` keeps status short where a spec was launched with many changes.
* ``terminal`` prints what the others found, for people.
"""
