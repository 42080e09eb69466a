"""Reads results.db and rebuilds the papers' tables: numbers beside the published ones, with
statistics and figures.
"""
