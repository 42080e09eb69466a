"""Looks and changes nothing: at sweeps, at one run, at two.

``sweep_status`` reads how sweeps stand, ``verdict`` puts that into one word, ``pace``, ``forecast``
and ``usage`` say how fast, how long and how much. ``show`` tells of one run, ``diff`` compares two,
``logs`` prints what a run printed. ``terminal`` shows all of it to people.
"""
