#!/usr/bin/env -S python3 -ESs
"""A scripted SLURM: sbatch, squeue, sacct, scontrol, scancel, sinfo, sacctmgr and srun in one file,
called by their names.

State lies in the folder $FAKE_SLURM: cluster.json (limits and settings), faults.json (what goes
wrong next), jobs.json and calls.jsonl. Nothing runs by itself: a test moves jobs on through
``fake_slurm.FakeSlurm``. Texts are those of SLURM 22.05.
"""

import fcntl
import io
import json
import os
import re
import sys
import time
from pathlib import Path

from arguments import options, split_flags
from jobs import (
    ACTIVE,
    ALIASES,
    FIELDS,
    LETTERS,
    Cluster,
    Job,
    StopError,
    clock,
    getter,
    indices,
    now,
    user,
)

SUBMIT_REFUSED = (
    "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
)
SILENT_DATABASE = """\
sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection to host:db:6819: Connection refused
sacct: error: Sending PersistInit msg: Connection refused
sacct: error: Problem talking to the database: Connection refused"""


def sbatch(words, cluster):
    flags = ("hold", "parsable", "requeue", "no-requeue", "test-only", "exclusive")
    short = {
        "J": "job-name",
        "H": "hold",
        "p": "partition",
        "a": "array",
        "t": "time",
        "o": "output",
        "A": "account",
        "q": "qos",
    }
    asked, rest = options(words, flags, short)
    text = f"#!/bin/sh\n{asked['wrap']}\n" if "wrap" in asked else Path(rest[0]).read_text()
    in_file = [
        line[8:].strip().replace("'", "")
        for line in text.splitlines()
        if line.startswith("#SBATCH ")
    ]
    asked = {**options(in_file, flags, short)[0], **asked}
    check(asked, cluster)
    cluster.state["next_id"] += 1
    job_id = cluster.state["next_id"]
    script = cluster.folder / f"{job_id}.sh"
    script.write_text(text)
    common = {
        "id": job_id,
        "name": asked.get("job-name", Path(rest[0]).name if rest else "wrap"),
        "user": user(),
        "asked": asked,
        "script": rest[0] if rest else "(null)",
        "environment": {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("SBATCH_", "SLURM_"))
        },
    }
    times = {"submit": now(), "start": None, "end": None, "restarts": 0, "exit": "0:0", "node": ""}
    place = {
        "partition": asked.get("partition", cluster.settings["partitions"][0]),
        "qos": asked.get("qos", "normal"),
    }
    array = {
        **common,
        **times,
        **place,
        "state": "PENDING",
        "held": "hold" in asked,
        "indices": asked.get("array"),
        "tasks": {},
    }
    cluster.state["arrays"].append(array)
    print(job_id if "parsable" in asked else f"Submitted batch job {job_id}")


def check(asked, cluster):
    """Refuse what SLURM refuses, in its words."""
    settings, failed = cluster.settings, "sbatch: error: Batch job submission failed: "
    if asked.get("partition") and asked["partition"] not in settings["partitions"]:
        name = asked["partition"]
        raise StopError(
            f"sbatch: error: invalid partition specified: {name}\n{failed}Invalid partition name specified"
        )
    wanted = indices(asked["array"]) if asked.get("array") else [0]
    if max(wanted) >= int(settings["MaxArraySize"]):
        raise StopError(failed + "Invalid job array specification")
    active = cluster.active_count()
    if active + len(wanted) > int(settings["MaxJobCount"]):
        time.sleep(
            settings["full_queue_s"]
        )  # sbatch sleeps and tries again, for two minutes in all
        text = "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n"
        raise StopError(f"{text}{failed}Resource temporarily unavailable")
    if active + len(wanted) > min(
        [int(settings["assoc"][name] or 10**9) for name in ("MaxSubmitJobs", "GrpSubmitJobs")]
    ):
        raise StopError(f"sbatch: error: AssocMaxSubmitJobLimit\n{failed}{SUBMIT_REFUSED}")
    qos = settings["qos"].get(asked.get("qos", "normal"))
    if qos is None:
        raise StopError(f"{failed}Invalid qos specification")
    limits = [qos.get(name) for name in ("MaxSubmitJobsPU", "MaxSubmitJobsPA", "GrpSubmitJobs")]
    if active + len(wanted) > min([int(value or 10**9) for value in limits]):
        raise StopError(f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{failed}{SUBMIT_REFUSED}")


def squeue(words, cluster):
    flags = ("noheader", "array", "me", "all", "start")
    short = {
        "h": "noheader",
        "r": "array",
        "o": "format",
        "O": "Format",
        "n": "name",
        "u": "user",
        "j": "jobs",
        "t": "states",
    }
    asked, _ = options(split_flags(words, "hr"), flags, short)
    states = asked.get("states", ",".join(ACTIVE)).upper()
    chosen = [
        job
        for job in cluster.jobs()
        if not job["forgotten"] and (states == "ALL" or job["state"] in states.split(","))
    ]
    if "name" in asked:
        chosen = [job for job in chosen if job["name"] in asked["name"].split(",")]
    if "jobs" in asked:
        known = cluster.find(
            asked["jobs"].split(","), "slurm_load_jobs error: Invalid job id specified"
        )
        if not known:
            raise StopError("")
        chosen = [job for job in chosen if job.id in {one.id for one in known}]
    if "array" not in asked:
        chosen = folded(chosen)
    line = (
        long_format(asked["Format"])
        if "Format" in asked
        else short_format(asked.get("format", "%i %P %j %u %t %M %D %R"))
    )
    if "noheader" not in asked:
        print(" ".join(re.findall(r"%[.\d]*(\w)", asked.get("format", "")) or ["JOBID"]))
    for job in chosen:
        print(line(job))


def folded(jobs):
    """Join the waiting tasks of an array to one line, as squeue does without --array."""
    waiting = {}
    for job in jobs:
        if job["state"] == "PENDING" and job.index is not None:
            waiting.setdefault(job.array["id"], []).append(job)
        else:
            yield job
    for tasks in waiting.values():
        throttle = "%" + str(tasks[0].array["indices"]).partition("%")[2]
        joined = Job(
            tasks[0].array,
            "[" + ",".join(str(task.index) for task in tasks) + throttle.rstrip("%") + "]",
        )
        yield joined


def short_format(text):
    parts = re.split(r"%(\.?\d*)(\w)", text)  # literal, size, letter, literal, ...
    fields = [
        (getter(LETTERS[letter]), size)
        for size, letter in zip(parts[1::3], parts[2::3], strict=True)
    ]

    def line(job):
        return parts[0] + "".join(
            sized(get(job), size) + rest
            for (get, size), rest in zip(fields, parts[3::3], strict=True)
        )

    return line


def long_format(text):
    """Return a function for `-O JobID:20,State:|`."""
    parts = [part.partition(":") for part in text.split(",")]

    def line(job):
        shown = []
        for name, _, size in parts:
            digits, suffix = re.fullmatch(r"(\.?\d*)(.*)", size).groups()
            shown.append(
                sized(getter(name.lower())(job), digits or ("" if suffix else "20")) + suffix
            )
        return "".join(shown)

    return line


def sized(text, size):
    width = int(size.strip(".") or 0)
    return (
        text
        if not width
        else text[:width].rjust(width)
        if size.startswith(".")
        else text[:width].ljust(width)
    )


def sacct(words, cluster):
    mode = cluster.settings["accounting"]
    if mode == "none":
        raise StopError("Slurm accounting storage is disabled")
    if mode == "down":
        raise StopError(SILENT_DATABASE)
    flags = ("noheader", "allocations", "duplicates", "parsable2", "parsable", "allusers", "array")
    short = {
        "n": "noheader",
        "X": "allocations",
        "D": "duplicates",
        "P": "parsable2",
        "o": "format",
        "j": "jobs",
        "S": "starttime",
        "u": "user",
    }
    asked, _ = options(split_flags(words, "nXDP"), flags, short)
    names = [
        part.partition("%")[0]
        for part in asked.get("format", "JobID,JobName,State,ExitCode").split(",")
    ]
    if "noheader" not in asked:
        print("|".join(names))
    for row in [*cluster.state["old"], *(as_row(job) for job in cluster.jobs())]:
        if chosen(row, asked):
            print("|".join(str(row[name.lower()]) for name in names))


def as_row(job):
    row = {name: getter(name)(job) for name in (*FIELDS, *ALIASES)}
    return {
        **row,
        "state": row["state"] + (f" by {os.getuid()}" if row["state"] == "CANCELLED" else ""),
    }


def chosen(row, asked):
    ids = [word for word in asked.get("jobs", "").split(",") if word]
    names = [word for word in asked.get("name", "").split(",") if word]
    of_id = not ids or row["jobid"] in ids or row["jobid"].partition("_")[0] in ids
    return of_id and (not names or row["jobname"] in names)


def scontrol(words, cluster):
    words = [word for word in words if word not in ("-o", "--oneliner")]
    action, rest = words[0].lower(), words[1:]
    if action == "show" and rest[0].lower().startswith("conf"):
        return show_config(cluster)
    if action == "show" and rest[0].lower() == "hostnames":
        return print("\n".join(rest[1].split(",")))
    if action == "show" and rest[0].lower().startswith("part"):
        return show_partitions(cluster)
    if action == "show" and rest[0].lower().startswith("res"):
        return print(*cluster.settings["reservations"], sep="\n")
    if action == "ping":
        return print("Slurmctld(primary) at fake is UP")
    ids = [word for text in rest for word in text.split(",") if word.lower() != "job"]
    unknown = (
        "slurm_load_jobs error: Invalid job id specified"
        if action == "show"
        else "Invalid job id specified for job {}"
    )
    jobs = cluster.find(ids, unknown)
    if not jobs:
        raise StopError("")
    if action in ("hold", "release"):
        return hold(ids, jobs, cluster, action == "hold")
    for job in jobs:
        CONTROLS[action](job)


def hold(ids, jobs, cluster, held):
    for array in {job.array["id"]: job.array for job in jobs}.values():
        if str(array["id"]) in ids:
            cluster.hold(array, held)
    for job in jobs:
        if str(job.array["id"]) not in ids:
            job.change(held=held)


def show_job(job):
    named = {
        "JobId": job.array["id"],
        "JobName": job["name"],
        "JobState": job["state"],
        "Reason": job.reason,
    }
    more = {
        "Restarts": job["restarts"],
        "SubmitTime": clock(job["submit"]),
        "NodeList": job["node"],
        "ExitCode": job["exit"],
    }
    print(" ".join(f"{name}={value}" for name, value in {**named, **more}.items()))


def requeue(job, held=False):
    if job["state"] == "PENDING":
        raise StopError(f"Job is pending execution for job {job.id}")
    job.change(state="PENDING", held=held, restarts=job["restarts"] + 1, submit=now(), node="")


CONTROLS = {
    "show": show_job,
    "requeue": requeue,
    "requeuehold": lambda job: requeue(job, held=True),
}


def show_config(cluster):
    settings = cluster.settings
    storage = (
        "accounting_storage/none"
        if settings["accounting"] == "none"
        else "accounting_storage/slurmdbd"
    )
    values = {
        "AccountingStorageType": storage,
        "SLURM_VERSION": settings["version"],
        **settings["config"],
    }
    values.update({name: settings[name] for name in ("ClusterName", "MaxArraySize", "MaxJobCount")})
    print(f"Configuration data as of {clock(now())}")
    for name in sorted(values):
        print(f"{name:<23} = {values[name]}")
    print("\nSlurmctld(primary) at fake is UP")


def show_partitions(cluster):
    for i, name in enumerate(cluster.settings["partitions"]):
        values = {
            "AllowGroups": "ALL",
            "Default": "NO" if i else "YES",
            "GraceTime": "10",
            "MaxTime": "UNLIMITED",
            "PreemptMode": "REQUEUE",
            "State": "UP",
            "TotalNodes": "1",
            **cluster.settings["partition"].get(name, {}),
        }
        print(f"PartitionName={name}", *(f"{key}={value}" for key, value in values.items()))


def scancel(words, cluster):
    flags = ("quiet", "verbose", "me", "batch", "full", "hurry")
    asked, ids = options(
        words, flags, {"n": "name", "u": "user", "t": "state", "s": "signal", "Q": "quiet"}
    )
    wrong = "scancel: error: Kill job error on job id {}: Invalid job id specified"
    jobs = cluster.find(ids, wrong) if ids else list(cluster.jobs())
    if ids and not jobs:
        raise StopError("")
    for job in jobs:
        named = "name" not in asked or job["name"] == asked["name"]
        if (
            job.active
            and named
            and asked.get("state", job["state"]).upper() == job["state"]
            and "signal" not in asked
        ):
            job.change(
                state="CANCELLED", end=now(), exit="0:15" if job["state"] == "RUNNING" else "0:0"
            )


def sinfo(words, cluster):
    form = next((word.partition("=")[2] for word in words if word.startswith("--format=")), None)
    if "-h" not in words and "--noheader" not in words:
        print("PARTITION AVAIL TIMELIMIT NODES STATE NODELIST")
    for i, name in enumerate(cluster.settings["partitions"]):
        if not form:
            print("idle" if "%T" in words else f"{name} up infinite 1 idle fake1")
            continue
        values = {
            "P": name + "*" * (i == 0),
            "a": "up",
            "l": "infinite",
            "D": "1",
            "G": "gpu:4",
            "T": "idle",
            **cluster.settings["node"],
            **cluster.settings["nodes_of"].get(name, {}),
        }
        for number in range(int(values["D"]) if "--Node" in words else 1):
            line = {"N": f"fake{number + 1}", **values}
            print(re.sub(r"%(\w)", lambda found, line=line: line[found[1]], form))


def sacctmgr(words, cluster):
    if cluster.settings["accounting"] == "none":
        raise StopError(
            "You are not running a supported accounting_storage plugin\nOnly "
            "'accounting_storage/slurmdbd' is supported."
        )
    if cluster.settings["accounting"] == "down":
        raise StopError(SILENT_DATABASE.replace("sacct:", "sacctmgr:"))
    words = [word for word in words if not word.startswith("-")]
    wanted = next(word.partition("=")[2] for word in words if word.startswith("format="))
    if words[1].startswith("assoc") and "user=" in words:
        rows = [
            {"Account": name, **values} for name, values in cluster.settings["accounts"].items()
        ]
    elif words[1].startswith("assoc"):
        rows = [
            {
                "Account": "lab",
                "Cluster": cluster.settings["ClusterName"],
                "User": user(),
                **cluster.settings["assoc"],
            }
        ]
    else:
        rows = [{"Name": name, **limits} for name, limits in cluster.settings["qos"].items()]
    for row in rows:
        print("|".join(str(row.get(name) or "") for name in wanted.split(",")))


def srun(words, _):
    """Run a step here: the rest of the command, its output where --output and --error say."""
    asked, rest = {}, list(words)
    while rest and rest[0].startswith("-"):
        name, equals, value = rest.pop(0)[2:].partition("=")
        asked[name] = (
            value
            if equals
            else rest.pop(0)
            if name in ("output", "error", "container-image")
            else True
        )
    for name, descriptor in (("output", 1), ("error", 2)):
        if name in asked:
            file = asked[name].replace("%t", "0")
            for mark, variable in (
                ("%A", "SLURM_ARRAY_JOB_ID"),
                ("%a", "SLURM_ARRAY_TASK_ID"),
                ("%j", "SLURM_JOB_ID"),
            ):
                file = file.replace(mark, os.environ.get(variable, ""))
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), descriptor)
    os.execvp(rest[0], rest)


COMMANDS = {
    one.__name__: one for one in (sbatch, squeue, sacct, scontrol, scancel, sinfo, sacctmgr)
}


def next_fault(name, folder):
    """Take the first fault that is due for this command from the script."""
    with (folder / "faults.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        faults = json.loads((folder / "faults.json").read_text())
        for fault in faults:
            if fault["command"] != name or fault["times"] == 0:
                continue
            if fault["after"] > 0:
                fault["after"] -= 1
                due = None
            else:
                fault["times"] -= 1
                due = fault
            (folder / "faults.json").write_text(json.dumps(faults))
            return due
    return None


def act(name, words, truncate=None):
    """Do what the command does; return its output."""
    printed, sys.stdout = sys.stdout, io.StringIO()
    cluster = Cluster()
    try:
        COMMANDS[name](words, cluster)
        cluster.save()
    finally:
        text, sys.stdout = sys.stdout.getvalue(), printed
    sys.stdout.write(text if truncate is None else text[:truncate])


def main():
    name, words = Path(sys.argv[0]).name, sys.argv[1:]
    folder = Path(os.environ["FAKE_SLURM"])
    with (folder / "calls.jsonl").open("a") as log:
        log.write(json.dumps({"command": name, "words": words, "at": now()}) + "\n")
    if name == "srun":
        return srun(words, None)
    if words and words[0] in ("--version", "-V"):
        return print(f"slurm {json.loads((folder / 'cluster.json').read_text())['version']}")
    fault = next_fault(name, folder)
    try:
        if fault is None or fault["accepted"]:
            act(name, words, fault and fault["truncate"])
        if fault is not None:
            sys.stdout.flush()
            time.sleep(fault["delay_s"])
            if fault["stderr"] or fault["exit"]:
                raise StopError(fault["stderr"], fault["exit"])
    except StopError as stop:
        print(stop, file=sys.stderr)
        sys.exit(stop.status)


if __name__ == "__main__":
    main()
