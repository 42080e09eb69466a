"""Holds the run folders, which are the truth: layout, states, intents, locks, rules of retrying.

* ``shapes`` says which form the files have.
* ``root`` knows where every file lies.
* ``settings`` reads the settings of a run in today's words.
* ``state`` lists the states of a run.
* ``jobs`` holds what SLURM says of a run's job.
* ``exit_codes`` puts SLURM's exit codes in words.
* ``device`` tells what an attempt computes on.
* ``result_files`` takes the digests of the files that a result stands in.
* ``standing`` tells the state of a run from its folder and its job.
* ``retry`` says which runs are due again.
* ``names`` finds runs and sweeps by what people type.
* ``annotations`` keeps what people say of runs and sweeps.
* ``submissions`` reads what launches have submitted, in order.
* ``intents`` logs a submission before SLURM hears of it.
* ``locks`` lets one launcher at a time write.
* ``clean`` frees space that no result needs.
"""
