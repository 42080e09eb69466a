"""Looks and changes nothing: at sweeps, at one run, at two.

* ``sweep_status`` reads from the database how sweeps stand.
* ``verdict`` puts that into one word and one line.
* ``pace`` measures how fast runs are.
* ``forecast`` estimates how long a sweep will take.
* ``usage`` counts the hours that it has used.
* ``show`` tells all of one run.
* ``diff`` compares two runs.
* ``logs`` prints what a run printed.
* ``terminal`` prints what the others found, for people.
"""
