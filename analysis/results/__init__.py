"""Reads results.db: ``connect`` opens it, ``runs`` reads runs, ``relations`` names its tables as
people see them.
"""
