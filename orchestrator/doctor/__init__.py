"""`sweep doctor`: what this machine and its cluster offer a sweep, and what will bite. Each check
is one small function.

``finding`` is what a check returns. ``machine``, ``files``, ``database`` and ``spec`` look here.
``cluster``, ``limits``, ``preemption`` and ``partitions`` ask SLURM, ``wishes`` says what jobs
would ask of it. ``send`` sends a ``probe`` job, and ``report`` judges what it found. ``examine``
puts them together, ``screen`` shows them.
"""
