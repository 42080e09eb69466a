"""Three ways to run: ``local`` (processes on this machine), ``inline`` (in this process), ``slurm``
(job arrays).
"""
