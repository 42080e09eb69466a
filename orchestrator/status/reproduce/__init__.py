"""Makes a run again, for `sweep show RUN --reproduce`.

* ``recipe`` finds the steps in what the run recorded.
* ``script`` writes them for a shell.
"""
