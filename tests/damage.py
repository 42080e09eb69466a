"""A root of two small sweeps for tests, ways to damage a file of it, and commands that meet that.

Nothing trains: the files are what a worker would have written.
"""

import contextlib
import ctypes
import hashlib
import io
import json
import os
import shutil
import signal
import stat
import sys
from dataclasses import dataclass

from conftest import SPEC

from byol_core.files import RecordLog, make_folder, write_atomic, write_json
from orchestrator.cli.main import _run
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.provenance.snapshot import running_code
from orchestrator.spec import load_sweep
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

_CAPABILITIES_V3 = 0x20080522
_PASS_BY_MODES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
ORIGIN = {"commit": "c" * 40, "dirty": False, "trainer": "t" * 64, "versions": {"torch": "2"}}
LONG_AGO = 1e9

SPECS = {
    "tiny": SPEC.replace("seeds: [0, 1]", "seeds: [0]"),
    "other": SPEC.replace("seeds: [0, 1]", "seeds: [0]")
    .replace("name: tiny", "name: other")
    .replace("epochs: 2", "epochs: 3"),
}


def make_root(folder):
    """Make ``folder/root`` with two done runs in sweep tiny, and a done and a cancelled one in
    sweep other; and each file that a root can hold.
    """
    root = Root(folder / "root")
    root.create()
    for name, text in SPECS.items():
        spec = folder / f"{name}.yaml"
        spec.write_text(text)
        write_plan(make_plan(load_sweep(spec), root, Selection(), Queue()), root)
        with RecordLog(root.sweep(name).launches / "20260101-000000-ab.jsonl") as log:
            _log_submission(log, [run_of(root, name, "byol").run_id])
    for run in root.runs():
        finish(run)
    cancelled = run_of(root, "other", "no_norm")
    cancelled.attempt(1).done.unlink()
    write_json(cancelled.cancelled, {"cancelled_at": 1.0, "because": "a test wanted it"})

    make_folder(root.path / "code")
    make_folder(root.path / "packages")
    write_json(root.code_facts(running_code()), {"commit": "c", "dirty": False, "remote": None})
    write_atomic(root.packages("d" * 64), b"torch==2\n")
    write_json(root.path / "slurm.json", {"answered_at": None, "missing_since": {}, "ended": {}})
    (root.path / "launcher.lock").write_text("pid 1 on h\n")
    (root.path / "collector.lock").write_text("")
    for path in root.path.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return root


def _log_submission(log, run_ids):
    log.append({"type": "intent", "key": "sweep-ab-0", "run_ids": run_ids, "at": 1.0})
    job_ids = [f"7_{index}" for index in range(len(run_ids))]
    log.append({"type": "acknowledged", "key": "sweep-ab-0", "job_ids": job_ids})
    log.append({"type": "released", "key": "sweep-ab-0"})


def run_of(root, sweep, variant):
    """Return the folder of the first run of a variant."""
    runs = root.sweep(sweep).read_plan()["runs"]
    return root.run(next(run["run_id"] for run in runs if run["variant"] == variant))


def finish(run, steps=3):
    """Write all that a worker leaves behind a run that is done, a checkpoint too."""
    attempt = run.attempt(1)
    make_folder(attempt.path)
    process = {"host": "h", "boot_id": "b", "pid": 1, "started": 1}
    job = {"executor": "local", "job_id": None, "device": "cpu"}
    write_json(attempt.claim, {"process": process, "job": job, "claimed_at": 1.0})
    with RecordLog(attempt.events) as log:
        start = {"type": "start", "step": 0, "total_steps": steps, "exact": True}
        log.append({"t": 1.0, **start, "origin": ORIGIN})
        for step in range(steps):
            point = {"type": "metrics", "step": step, "epoch": 0, "images_per_s": 10.0}
            log.append({"t": 2.0, **point, "metrics": {"loss": 0.5, "std_sqrt_d": 0.9}})
        log.append({"t": 2.5, "type": "checkpoint", "step": steps})
        log.append({"t": 3.0, "type": "end", "state": "COMPLETED", "reason": "ok"})
    final = {"std_sqrt_d": 0.9, "effective_rank": 20.0}
    done = {"outcome": "ok", "step": steps, "initial": final, "final": final}
    write_json(attempt.done, {**done, "wall_s": 1.0, "disk_bytes": 5, "trainer": "t" * 64})
    write_atomic(attempt.stdout, b"printed\n")
    write_atomic(attempt.stderr, b"complained\n")

    make_folder(run.path / "evaluations")
    accuracies = {"online": {"accuracy": 0.5}, "target": {"accuracy": 0.5}}
    for protocol in ("probe", "knn"):
        result = {"protocol": protocol, "version": 1, **accuracies}
        write_json(run.path / "evaluations" / f"{protocol}-v1.json", result)
    for name in ("encoder", "checkpoints/step-00000003.0001"):
        make_folder(run.path / name)
        write_atomic(run.path / name / "state.pt", b"weights")
        write_json(run.path / name / "manifest.json", {"step": 3, "sha256": {"state.pt": "0"}})


# Damages


def _content(change):
    def damage(file):
        file.write_bytes(change(file.read_bytes()))

    return damage


def _json(change):
    """Return a damage of a JSON file, or of nothing else: other files get the text."""

    def damage(file):
        try:
            content = json.loads(file.read_bytes())
        except ValueError:
            content = {"a": 1}
        file.write_text(json.dumps(change(content)))

    return damage


def _each_value(new):
    def change(content):
        return dict.fromkeys(content, new) if isinstance(content, dict) else new

    return _json(change)


def _in_its_place(make):
    def damage(file):
        file.unlink()
        make(file)

    return damage


BY_CONTENT = {
    "empty": _content(lambda _: b""),
    "torn": _content(lambda content: content[: len(content) // 2]),
    "zeros": _content(lambda content: bytes(len(content))),
    "binary": _content(lambda _: bytes(range(128, 256)) * 4),
    "utf-16": _content(lambda content: content.decode(errors="replace").encode("utf-16")),
    "latin-1": _content(lambda _: '{"name": "é"}'.encode("latin-1")),
    "null": _content(lambda _: b"null"),
    "list": _content(lambda _: b"[1, 2]"),
    "text": _content(lambda _: b'"text"'),
    "no keys": _content(lambda _: b"{}"),
    "deep": _content(lambda _: b"[" * 100_000 + b"]" * 100_000),
    "huge": _content(lambda _: b'{"step": 1' + b"0" * 5000 + b"}"),
    "duplicate keys": _content(lambda _: b'{"label": 1, "label": 2, "outcome": 1, "outcome": 2}'),
    "nan": _content(lambda _: b'{"step": NaN, "outcome": Infinity}'),
    "all null": _each_value(None),
    "all lists": _each_value([]),
    "all objects": _each_value({}),
    "all text": _each_value("x"),
    "all surrogates": _each_value("\ud800"),
    "all huge": _each_value(10**400),
    "all huge floats": _each_value(1e308),
    "all negative": _each_value(-1),
    "all nested": _each_value([{"a": [{}]}]),
}
BY_KIND = {
    "folder": _in_its_place(lambda file: file.mkdir()),
    "dangling link": _in_its_place(lambda file: file.symlink_to("nowhere")),
    "link to itself": _in_its_place(lambda file: file.symlink_to(file.name)),
    "fifo": _in_its_place(lambda file: os.mkfifo(file)),
    "unreadable": lambda file: file.chmod(0),
}
OF_FILES = BY_CONTENT | BY_KIND


def _replaced(folder):
    shutil.rmtree(folder)
    folder.write_bytes(b"x")


def _led_nowhere(folder):
    shutil.rmtree(folder)
    folder.symlink_to("nowhere")


OF_FOLDERS = {
    "no entry": lambda folder: folder.chmod(0),
    "no names": lambda folder: folder.chmod(0o300),
    "no search": lambda folder: folder.chmod(0o400),
    "file": _replaced,
    "lost link": _led_nowhere,
}


# Commands


@dataclass(frozen=True)
class Done:
    """What a command said, and its exit status."""

    words: tuple
    status: int
    out: str
    err: str

    @property
    def text(self):
        return f"$ sweep {' '.join(self.words)}\n{self.out}{self.err}[exit status {self.status}]"


class Workplace:
    """A root in ``folder``, and the commands on it."""

    def __init__(self, folder):
        self.folder = folder
        self.root = Root(folder / "root")
        variants = ("byol", "no_norm")
        self.runs = [run_of(self.root, "tiny", name).run_id for name in variants]

    def sweep(self, *words):
        """Run a command in this process, as the user that owns the root."""
        out, err, argv = io.StringIO(), io.StringIO(), sys.argv
        places = ("--root", str(self.root.path), "--db", str(self.folder / "results.db"))
        sys.argv = ["sweep", *places, *map(str, words)]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), as_owner_alone():
                status = _run()
        finally:
            sys.argv = argv
        return Done(tuple(map(str, words)), int(status or 0), out.getvalue(), err.getvalue())

    def content(self):
        """Return path → kind, mode and content of all in the root that commands must not touch."""
        passing = {"collector.lock", "launcher.lock", "slurm.json"}
        found = {}
        for path in sorted(self.root.path.rglob("*")):
            mode = path.lstat().st_mode
            if path.name in passing or path.is_relative_to(self.root.path / "reports"):
                continue
            content = b""
            if stat.S_ISREG(mode):
                content = hashlib.sha256(path.read_bytes()).digest()
            found[str(path.relative_to(self.root.path))] = (mode, content)
        return found


@contextlib.contextmanager
def as_owner_alone():
    """Obey modes as any other user does, where we are root: its two rights to pass by them go."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
    before = (ctypes.c_uint32 * 6)()
    libc.capget(header, before)
    reduced = (ctypes.c_uint32 * 6)(*before)
    reduced[0] &= ~_PASS_BY_MODES
    libc.capset(header, reduced)
    try:
        yield
    finally:
        libc.capset(header, before)


def copy_root(template, target):
    """Copy a root with its database and specs."""
    for path in target.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(template, target, symlinks=True)
    return Workplace(target)


@contextlib.contextmanager
def in_time(seconds=10):
    """Raise TimeoutError in what takes longer."""

    def give_up(*_):
        raise TimeoutError

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
