"""Starts attempts at runs, and makes them. There are three ways to run: slurm, local and inline.

* ``worker`` makes one attempt at one run.
* ``ending`` tells in which state an error leaves it.
* ``inline`` makes attempts in this process.
* ``local`` makes them in processes of this machine.
* ``losses`` writes down which of these died.
* ``imports`` decides from where these processes import our packages.
* ``plugin_imports`` imports a user's own parts from their copy alone.
* ``warm`` loads torch once for all of these.
* ``fork_server`` does once what each of them would do again, and ``held_data`` reads their images.
* ``sockets`` finds a folder for the socket that they come by.
* ``slurm_job`` is what runs in a SLURM job.
* ``bundle`` makes the attempts of a job that has several runs.
* ``interrupts`` turns signals into a flag.
* ``cut`` trains the first steps of a run and keeps nothing.
"""
