"""Carries out `sweep launch`, from its options to its last line of output.

* ``options`` holds what is asked of one launch.
* ``selection`` chooses variants and seeds, and finds their images.
* ``plan`` compares a spec with what is there.
* ``plan_files`` writes a plan down.
* ``requests`` tells what the jobs of a run ask for.
* ``cost`` estimates what a plan will cost.
* ``launch`` carries a plan out.
* ``doubtful_logs`` keeps runs from being sent twice where a log is damaged.
* ``leftovers`` waits for runs of a launcher that died.
* ``send`` sends runs to SLURM.
* ``wait`` follows a sweep to its end.
* ``circuit_breaker`` stops a sweep whose first runs fail.
* ``progress`` shows a launch while it goes on.
* ``terminal`` prints its plan and its outcome.
* ``on_fail`` tells a command of the first failure of each kind.
* ``on_end`` tells a command or a webhook how it ended.
* ``max_steps`` trains runs for a few steps and keeps nothing.
* ``cancel`` carries out `sweep cancel`.
"""
