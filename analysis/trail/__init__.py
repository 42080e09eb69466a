"""Follows the rows of a table back to what made them.

* ``follow`` finds a row's runs, attempts, commits, and what tells its config from the baseline's.
* ``json_trail`` renders that as JSON.
* ``relaunch`` writes the commands that go on with a row or make it anew.
"""
