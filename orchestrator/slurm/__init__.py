"""Talks to SLURM and does nothing else: it imports no worker and no launch code.

* ``commands`` calls SLURM's commands, with typed errors.
* ``submit`` sends an array of held jobs, releases and cancels it.
* ``arrays`` writes its batch script, by submitit.
* ``setup`` stops a job whose setup lines fail.
* ``queue`` tells what SLURM says of the runs of a root.
* ``listing`` reads `squeue` and `sacct`.
* ``queue_memory`` remembers what earlier looks have found.
* ``reasons`` explains why a job waits.
* ``limits`` asks how much a cluster takes at once.
* ``durations`` reads the durations that SLURM prints.
* ``partitions`` says which settings of its partition a request breaks.
* ``nodes`` tells what nodes have, and which to avoid.
* ``qos`` says what a request asks for beyond its QOS.
* ``features`` tells whether a node meets a constraint.
* ``refusals`` says what mends a refusal of `sbatch`.
* ``requeue`` has a job queue itself again.
* ``distributed`` says where the tasks of a job meet.
* ``controller`` sends a waiting launcher as a job.
"""
