"""Checks what this machine and its cluster offer a sweep, and what will go wrong: `sweep doctor`.

Each check is one small function.

* ``examine`` runs every check that applies and says how it came out.
* ``finding`` is what a check returns.
* ``terminal`` prints findings.
* ``machine`` looks at Python, torch, cores and GPUs.
* ``files`` tries out the file system of the root.
* ``database`` asks whether results.db can be opened.
* ``spec`` asks whether a spec can be launched here.
* ``cluster`` asks which SLURM answers.
* ``limits`` asks how many jobs it takes.
* ``partitions`` asks which partitions fit a request.
* ``accounts`` asks whether account and QOS of a request count here.
* ``preemption`` asks what happens to a run that loses its node.
* ``requests`` says what the jobs of a sweep would ask for.
* ``send_probe`` sends one short job that looks around on a node.
* ``probe`` is what that job runs.
* ``judge_probe`` judges what that job has found.
"""
