"""A scripted SLURM for tests: ``slurm.py`` is its commands, `FakeSlurm` moves its jobs on and makes
it fail.

``fake = FakeSlurm(folder)`` makes a cluster; where `fake.environment()` holds, `sbatch` and its
like are the fake's.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from fake_slurm.jobs import ALIASES, FIELDS, Job, indices

BIN = Path(__file__).parent / "bin"

SETTINGS = {
    "version": "22.05.8",  # 23.11.10 and 24.05.3 print the same fields
    "ClusterName": "fake",
    "MaxArraySize": 1001,
    "MaxJobCount": 10000,
    "partitions": ["debug", "high"],
    "node": {"c": "8", "m": "64000", "f": "(null)"},  # as sinfo prints it
    "nodes_of": {},  # partition → what its nodes have instead
    "partition": {},  # partition → settings as scontrol prints them
    "accounting": "slurmdbd",  # or none, or down
    "assoc": {
        "MaxSubmitJobs": None,
        "GrpSubmitJobs": None,
        "DefaultQOS": "normal",
        "QOS": "normal",
    },
    "qos": {"normal": {"MaxSubmitJobsPU": None, "GrpSubmitJobs": None}},
    "accounts": {"lab": {"ParentName": "root"}, "root": {}},
    "reservations": [],  # lines as scontrol prints them
    "full_queue_s": 0,  # how long sbatch sleeps and retries where MaxJobCount is reached
    "config": {
        "AccountingStorageEnforce": "associations,limits,qos",
        "AuthInfo": "cred_expire=10",
        "JobRequeue": "1",
        "KillWait": "30 sec",
        "MinJobAge": "300 sec",
        "PreemptMode": "REQUEUE",
        "PreemptType": "preempt/partition_prio",
        "SlurmctldParameters": "preempt_send_user_signal",
    },
}
SOCKET_TIMED_OUT = (
    "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
)
NO_CONTROLLER = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"


class FakeSlurm:
    """A cluster in a folder.

    Args:
        folder: new, for its state.
        settings: over `SETTINGS`; `assoc`, `qos` and `config` are laid over the defaults key by
            key.
    """

    def __init__(self, folder, **settings):
        self.folder = folder
        folder.mkdir()
        self._write("jobs.json", {"next_id": 1000, "arrays": [], "old": []})
        self._write("faults.json", [])
        (folder / "calls.jsonl").touch()

        # The commands begin with `env python3`, and that may be a script that looks for a Python.
        (folder / "python").mkdir()
        (folder / "python" / "python3").symlink_to(Path(sys.executable).resolve())
        self._write("cluster.json", SETTINGS)
        self.set(**settings)

    def environment(self):
        """Return the variables that make it the SLURM of a process."""
        path = f"{BIN}:{self.folder / 'python'}:{os.environ['PATH']}"
        return {"FAKE_SLURM": str(self.folder), "PATH": path}

    def set(self, **settings):
        """Change limits and settings."""
        known = json.loads((self.folder / "cluster.json").read_text())
        for name, value in settings.items():
            assert name in known, f"no such setting: {name}"
            known[name] = {**known[name], **value} if isinstance(value, dict) else value
        self._write("cluster.json", known)

    def fail(
        self, command, stderr="", exit=1, accepted=False, delay_s=0, times=1, after=0, truncate=None
    ):
        """Let a command fail: `times` calls, the first `after` still succeed.

        Args:
            accepted: it does what was asked all the same, before it fails or sleeps.
            delay_s: it sleeps first; with exit=0 and no text it is only slow.
            truncate: with accepted=True, only so many characters are printed.
        """
        faults = json.loads((self.folder / "faults.json").read_text())
        one = {
            "command": command,
            "stderr": stderr,
            "exit": exit,
            "accepted": accepted or exit == 0,
        }
        self._write(
            "faults.json",
            [
                *faults,
                {**one, "delay_s": delay_s, "times": times, "after": after, "truncate": truncate},
            ],
        )

    def calls(self, command):
        """Return the arguments of every call of a command."""
        lines = [
            json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()
        ]
        return [line["words"] for line in lines if line["command"] == command]

    def jobs(self, state=None):
        """Return job id → its values (name, state, held, submit, …), of one state or all."""
        arrays = json.loads((self.folder / "jobs.json").read_text())["arrays"]
        all_ = [
            Job(array, index)
            for array in arrays
            for index in (indices(array["indices"]) if array["indices"] else [None])
        ]
        found = {job.id: {**job.array, **job.own, "reason": job.reason} for job in all_}
        return {
            job_id: job for job_id, job in found.items() if state is None or job["state"] == state
        }

    def change(self, *job_ids, **values):
        """Set values of jobs, e.g. state="RUNNING", node="fake1", reason="Resources", exit="1:0",
        forgotten=True.
        """
        with self._state() as state:
            for job_id in job_ids:
                base, _, index = job_id.partition("_")
                array = next(one for one in state["arrays"] if str(one["id"]) == base)
                for each in (
                    [int(index)]
                    if index
                    else indices(array["indices"])
                    if array["indices"]
                    else [None]
                ):
                    Job(array, each).change(**values)

    def start(self, *job_ids, node="fake1"):
        """Let jobs run, as far as SLURM says; nothing is executed."""
        self.change(*job_ids, state="RUNNING", node=node, start=time.time(), held=False)

    def end(self, *job_ids, state="COMPLETED", exit="0:0", **values):
        """Let jobs end."""
        self.change(*job_ids, state=state, exit=exit, end=time.time(), **values)

    def forget(self, *job_ids):
        """Let squeue and scontrol know nothing of jobs any more, as after MinJobAge."""
        self.change(*job_ids, forgotten=True)

    def reuse_ids(self, next_id):
        """Start ids anew, as `slurmctld -c` does."""
        with self._state() as state:
            state["next_id"] = next_id - 1

    def old_record(self, **row):
        """Add a row to accounting, as of another job that had the same id: jobid, jobname, state,
        submit, …
        """
        blank = dict.fromkeys((*FIELDS, *ALIASES), "")
        with self._state() as state:
            state["old"].append({**blank, **row})

    def execute(self, job_id, timeout=120):
        """Run a job's script here and let the job end as it does; return the finished process."""
        base, _, index = job_id.partition("_")
        array = {"SLURM_ARRAY_JOB_ID": base, "SLURM_ARRAY_TASK_ID": index} if index else {}
        variables = {
            "SLURM_JOB_ID": str(int(base) * 100 + int(index)) if index else base,
            "SLURM_CPUS_PER_TASK": "1",
            **array,
        }
        self.start(job_id)
        script = self.folder / f"{base}.sh"
        environment = {**os.environ, **self.environment(), **variables}
        done = subprocess.run(
            ["bash", script], env=environment, capture_output=True, text=True, timeout=timeout
        )
        self.end(
            job_id, state="FAILED" if done.returncode else "COMPLETED", exit=f"{done.returncode}:0"
        )
        return done

    @contextmanager
    def _state(self):
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = json.loads((self.folder / "jobs.json").read_text())
            yield state
            self._write("jobs.json", state)

    def _write(self, name, value):
        (self.folder / name).write_text(json.dumps(value))
