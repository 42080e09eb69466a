"""`sweep launch`, from the options to the last word.

``options`` says what is asked for, ``selection`` what it is limited to, ``plan`` compares the spec
with what is there, ``plan_files`` writes it down, ``cost`` estimates it and ``requests`` says what
its jobs ask for. ``launch`` carries a plan out: ``send`` to SLURM, or by an executor here;
``leftovers`` waits for runs of a dead launcher, ``circuit_breaker`` stops a sweep whose first runs
fail. ``wait`` follows it to its end, ``progress`` and ``terminal`` show it, ``on_end`` runs hooks.
``cancel`` is `sweep cancel`, ``max_steps`` tries runs for a few steps.
"""
