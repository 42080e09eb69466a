"""Jobs of the scripted SLURM: its state on disk, and each value of a job as squeue and sacct print
it.
"""

import fcntl
import json
import os
import sys
import time
from pathlib import Path

ACTIVE = (
    "PENDING",
    "RUNNING",
    "SUSPENDED",
    "CONFIGURING",
    "COMPLETING",
    "REQUEUED",
    "REQUEUE_HOLD",
    "SPECIAL_EXIT",
)
COMPACT = {
    "PENDING": "PD",
    "RUNNING": "R",
    "COMPLETED": "CD",
    "CANCELLED": "CA",
    "FAILED": "F",
    "TIMEOUT": "TO",
}


class StopError(Exception):
    """End of a command with a message on standard error."""

    def __init__(self, text, status=1):
        super().__init__(text)
        self.status = status


class Job:
    """One job or array task: its own values over those of its array."""

    def __init__(self, array, index):
        self.array, self.index = array, index
        self.own = array["tasks"].get("" if index is None else str(index), {})

    def __getitem__(self, key):
        return self.own[key] if key in self.own else self.array.get(key)

    def change(self, **values):
        self.own = self.array["tasks"].setdefault("" if self.index is None else str(self.index), {})
        self.own.update(values)

    @property
    def id(self):
        return str(self.array["id"]) if self.index is None else f"{self.array['id']}_{self.index}"

    @property
    def active(self):
        return self["state"] in ACTIVE and not self["forgotten"]

    @property
    def reason(self):
        if self["state"] == "PENDING" and self["held"]:
            return "JobHeldUser"
        return self["reason"] or ("Priority" if self["state"] == "PENDING" else "None")


class Cluster:
    """The state, locked while a command works on it."""

    def __init__(self):
        self.folder = Path(os.environ["FAKE_SLURM"])
        self.settings = json.loads((self.folder / "cluster.json").read_text())
        self.lock = (self.folder / "lock").open("w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.state = json.loads((self.folder / "jobs.json").read_text())

    def save(self):
        aside = self.folder / "jobs.json.tmp"
        aside.write_text(json.dumps(self.state))
        aside.rename(self.folder / "jobs.json")

    def jobs(self, arrays=None):
        for array in self.state["arrays"] if arrays is None else arrays:
            for index in indices(array["indices"]) if array["indices"] else [None]:
                yield Job(array, index)

    def find(self, words, refusal):
        """Return the jobs of ids such as 7, 7_3 or 7_[1-3,5]."""
        found = []
        for word in words:
            base, _, rest = word.partition("_")
            wanted = set(indices(rest.strip("[]"))) if rest else None
            arrays = [array for array in self.state["arrays"] if str(array["id"]) == base]
            these = [job for job in self.jobs(arrays) if wanted is None or job.index in wanted]
            if not [job for job in these if not job["forgotten"]]:
                print(refusal.format(word), file=sys.stderr)
            found += [job for job in these if not job["forgotten"]]
        return found

    def active_count(self):
        """Return how many jobs wait or run; tasks that nothing has happened to wait."""
        touched = sum(
            not Job(array, index or None).active
            for array in self.state["arrays"]
            for index in array["tasks"]
        )
        return (
            sum(
                len(indices(array["indices"])) if array["indices"] else 1
                for array in self.state["arrays"]
            )
            - touched
        )

    def hold(self, array, held):
        """Hold or release all tasks of an array."""
        array["held"] = held
        for own in array["tasks"].values():
            own.pop("held", None)


def indices(text):
    """Return the numbers of `0-3,7%2`."""
    numbers = []
    for part in text.partition("%")[0].split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


FIELDS = {
    "jobarrayid": lambda job: job.id,
    "arrayjobid": lambda job: str(job.array["id"]),
    "arraytaskid": lambda job: "N/A" if job.index is None else str(job.index),
    "name": lambda job: job["name"],
    "username": lambda job: job["user"],
    "state": lambda job: job["state"],
    "statecompact": lambda job: COMPACT.get(job["state"], job["state"][:2]),
    "reason": lambda job: job.reason,
    "reasonlist": lambda job: job["node"] or f"({job.reason})",
    "submittime": lambda job: clock(job["submit"]),
    "starttime": lambda job: clock(job["start"]) or "N/A",
    "endtime": lambda job: clock(job["end"]) or "N/A",
    "start": lambda job: clock(job["start"]) or "Unknown",
    "end": lambda job: clock(job["end"]) or "Unknown",
    "nodelist": lambda job: job["node"],
    "partition": lambda job: job["partition"],
    "qos": lambda job: job["qos"],
    "timeused": lambda job: "0:00",
    "elapsed": lambda job: "00:00:00",
    "elapsedraw": lambda job: "0",
    "timelimit": lambda job: "10:00",
    "timeleft": lambda job: job.own.get("left", "10:00"),
    "numnodes": lambda job: "1",
    "comment": lambda job: "(null)",
    "command": lambda job: job.array.get("script", "(null)"),
    "dependency": lambda job: job.array["asked"].get("dependency", "(null)"),
    "account": lambda job: job.array["asked"].get("account", "(null)"),
    "restartcnt": lambda job: str(job["restarts"]),
    "exitcode": lambda job: job["exit"],
}
ALIASES = {
    **{
        "jobid": "jobarrayid",
        "jobidraw": "jobarrayid",
        "jobname": "name",
        "user": "username",
        "submit": "submittime",
    },
    **{"derivedexitcode": "exitcode", "restarts": "restartcnt", "batchhost": "nodelist"},
}
LETTERS = {
    **{
        "i": "jobarrayid",
        "A": "jobid",
        "F": "arrayjobid",
        "K": "arraytaskid",
        "j": "name",
        "u": "username",
        "T": "state",
    },
    **{
        "t": "statecompact",
        "r": "reason",
        "R": "reasonlist",
        "V": "submittime",
        "S": "starttime",
        "e": "endtime",
    },
    **{
        "N": "nodelist",
        "B": "batchhost",
        "P": "partition",
        "q": "qos",
        "M": "timeused",
        "l": "timelimit",
        "L": "timeleft",
    },
    **{"D": "numnodes", "E": "dependency", "a": "account", "k": "comment", "o": "command"},
}


def getter(name):
    """Return the function that gives one value as squeue and sacct print it."""
    known = ALIASES.get(name, name)
    if known not in FIELDS:
        raise StopError(f"error: Invalid field requested: {name!r}")
    return FIELDS[known]


def user():
    return os.environ.get("USER") or str(os.getuid())


def now():
    return time.time()


def clock(seconds):
    wanted = os.environ.get("SLURM_TIME_FORMAT", "%Y-%m-%dT%H:%M:%S")
    return time.strftime(wanted, time.localtime(seconds)) if seconds else ""
