"""Runs as SLURM jobs: ``commands`` speaks to SLURM, ``submit`` sends, ``look`` asks, ``job`` is
what runs in a job.
"""
