"""`sweep doctor`: what this machine and its cluster offer a sweep, and what will bite. Each check is one small function.

``finding`` is what a check returns, ``machine``, ``files``, ``database`` and ``spec`` look here, ``cluster``, ``limits``,
``preemption`` and ``partitions`` ask SLURM, ``probe`` is what a probe job runs, ``examine`` puts them together.
"""
