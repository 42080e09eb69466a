"""From a spec to variants, runs, jobs and results.db: the ``sweep`` command. Importing it loads no
torch and no pandas.
"""
