"""Writes results.db as files for other programs.

* ``files`` writes CSV and JSON.
* ``parquet`` writes Parquet.
"""
