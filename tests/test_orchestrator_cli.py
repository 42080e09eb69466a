"""The `sweep` command as a user meets it: in processes of its own, killed at bad moments, fed with
nonsense.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time

import pytest
from conftest import REPO, SPEC, command

from byol_core.files import RecordReader
from orchestrator.machine.processes import Process, is_alive
from orchestrator.machine.user import user_name
from orchestrator.store.locks import launcher_lock
from orchestrator.store.root import Root


def status(sweep, *arguments):
    (one,) = json.loads(sweep("status", *arguments, "--json", check=0).stdout)["sweeps"]
    return one


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def points(root):
    """(run, step) → metrics, of the highest attempt that has the step."""
    found = {}
    for run in root.runs():
        for attempt in run.attempts():
            for record in RecordReader(attempt.events):
                if record["type"] == "metrics":
                    found[run.run_id, record["step"]] = record["metrics"]
    return found


def results(root):
    """Per run: its one done.json, its evaluations, and the sha256 of its weights."""
    found = {}
    for run in root.runs():
        done = [
            json.loads(attempt.done.read_text())
            for attempt in run.attempts()
            if attempt.done.exists()
        ]
        assert len(done) == 1, f"{run.run_id} has {len(done)} results"
        weights = json.loads((run.path / "encoder" / "manifest.json").read_text())["sha256"]
        found[run.run_id] = (done[0]["outcome"], done[0]["final"], list(run.evaluations()), weights)
    return found


LONGER = [("epochs: 2,", "epochs: 12,"), ("seeds: [0, 1]", "seeds: [0]")]
"""Two runs that can be caught in the middle."""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The longer spec, run without trouble: what every interrupted one must equal."""
    folder = tmp_path_factory.mktemp("whole")
    text = SPEC
    for replacement in LONGER:
        text = text.replace(*replacement)
    (folder / "tiny.yaml").write_text(text)
    subprocess.run(
        command("launch", "tiny.yaml", "--executor", "local"),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    root = Root(folder / "sweep-runs")
    return results(root), points(root)


def test_launch_status_report_and_launch_again(sweep, spec_file):
    file = spec_file()
    done = sweep("launch", file, "--executor", "local", check=0)
    assert "4 runs, 4 to run (local)" in done.stdout and "4/4 done" in done.stdout
    assert status(sweep)["counts"] == {"COMPLETED": 4}
    table = sweep("report", "--table", "mlp_norm", check=0).stdout
    assert (
        "done 2/2" in table
        and "absent" in table
        and "figure: sweep-runs/reports/mlp_norm-" in table
    )
    again = sweep("launch", file, "--executor", "local", check=0)
    assert "0 to run, 4 done already" in again.stdout
    one_more = ["--only", "no_norm", "--seeds", "0,1,2"]
    more = sweep("launch", file, "--executor", "local", *one_more, check=0)
    assert "3 runs, 1 to run, 2 done already" in more.stdout


@pytest.mark.slow
def test_json_report_is_whole_and_in_fractions(sweep, spec_file):
    sweep("launch", spec_file(), "--executor", "inline", "--only", "byol", check=0)
    report = json.loads(sweep("report", "--table", "mlp_norm", "--format", "json", check=0).stdout)
    assert [row["label"] for row in report["rows"]][:2] == ["Contrastive loss", "BYOL"] and len(
        report["rows"]
    ) == 7
    byol = report["rows"][1]
    assert byol["published"] == 0.577 and byol["n"] == 2 and set(byol["values"]) == {"0", "1"}
    assert 0 < byol["mean"] <= 1 and byol["state"] == "done 2/2" and len(byol["run_ids"]) == 2


@pytest.mark.slow
def test_inline_gives_the_same_results_as_local(sweep, spec_file, tmp_path):
    file = spec_file()
    sweep(
        "--root",
        "a",
        "launch",
        file,
        "--executor",
        "local",
        "--slots",
        str(len(os.sched_getaffinity(0))),
        check=0,
    )
    sweep(
        "--root",
        "b",
        "launch",
        file,
        "--executor",
        "inline",
        check=0,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert results(Root(tmp_path / "a")) == results(Root(tmp_path / "b"))


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "victim",
    [pytest.param("launcher", marks=SLOW), pytest.param("worker", marks=SLOW), "both"],
)
def test_kill_9_then_the_same_launch_ends_as_if_nothing_had_happened(
    sweep, spec_file, tmp_path, uninterrupted, victim
):
    file, root = spec_file(*LONGER), Root(tmp_path / "sweep-runs")
    launcher = subprocess.Popen(
        command("launch", file, "--executor", "local"), cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    until(lambda: len(points(root)) >= 4)
    claims = [
        json.loads(attempt.claim.read_text())
        for run in root.runs()
        for attempt in run.attempts()
        if attempt.claim.exists()
    ]
    if victim in ("worker", "both"):
        for one in claims:
            os.kill(one["process"]["pid"], signal.SIGKILL)
    if victim in ("launcher", "both"):
        launcher.kill()
    assert launcher.wait(60) != 0
    sweep("launch", file, "--executor", "local", check=0)
    expected, series = uninterrupted
    assert results(root) == expected and points(root) == series
    assert status(sweep)["counts"] == {"COMPLETED": 2}


@pytest.mark.slow
def test_any_number_of_kills_at_random_moments_changes_no_bit(
    sweep, spec_file, tmp_path, uninterrupted
):
    file, root, seed = spec_file(*LONGER), Root(tmp_path / "sweep-runs"), time.time_ns()
    print(f"random seed {seed}")  # shown where the test fails
    moments = random.Random(seed)
    for _ in range(3):
        launcher = subprocess.Popen(
            command("launch", file, "--executor", "local"), cwd=tmp_path, stdout=subprocess.DEVNULL
        )
        time.sleep(moments.uniform(3.0, 7.0))
        claims = [
            json.loads(attempt.claim.read_text())
            for run in root.runs()
            for attempt in run.attempts()
        ]
        for process in [Process(**claim["process"]) for claim in claims]:
            if is_alive(process):  # a pid of an earlier round may be somebody else's by now
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        launcher.kill()
        launcher.wait()
    sweep(
        "launch", file, "--executor", "local", "--retry", "lost", check=0
    )  # a slow machine never got to a checkpoint
    expected, series = uninterrupted
    assert results(root) == expected and points(root) == series


@pytest.mark.parametrize(
    "signal_",
    [
        pytest.param(signal.SIGINT, id="ctrl-c"),
        pytest.param(signal.SIGHUP, id="closed-terminal", marks=SLOW),
    ],
)
def test_an_interrupt_checkpoints_and_the_next_launch_goes_on(
    sweep, spec_file, tmp_path, uninterrupted, signal_
):
    file, root = spec_file(*LONGER), Root(tmp_path / "sweep-runs")
    launcher = subprocess.Popen(
        command("launch", file, "--executor", "local"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: len({run for run, _ in points(root)}) == 2)
    os.killpg(launcher.pid, signal_)  # as a terminal does: to the launcher and all its children
    out, _ = launcher.communicate(timeout=60)
    if signal_ == signal.SIGINT:
        assert (
            launcher.returncode == 130
            and "interrupted by SIGINT; the same launch goes on from here" in out
        )
    until(lambda: "RUNNING" not in status(sweep)["counts"])
    stopped = status(sweep)["counts"].get(
        "STOPPED", 0
    )  # on a slow day one of the two was done before the other began
    sweep("launch", file, "--executor", "local", check=0)
    resumed = [
        record["step"]
        for run in root.runs()
        for record in RecordReader(run.attempt(2).events)
        if record["type"] == "start"
    ]
    assert len(resumed) == stopped and all(step > 0 for step in resumed)
    expected, series = uninterrupted
    assert results(root) == expected and points(root) == series


def test_a_second_launcher_is_told_who_holds_the_root_or_waits_for_it(sweep, spec_file, tmp_path):
    launch = ["launch", spec_file(), "--executor", "inline", "--only", "byol", "--seeds", "0"]
    root = Root(tmp_path / "sweep-runs")
    root.create()
    holder = f"{user_name()}, pid {os.getpid()} on {os.uname().nodename}, since 20"
    with contextlib.ExitStack() as held:
        held.enter_context(launcher_lock(root))
        second = sweep(*launch)
        assert second.returncode == 75 and "another launcher" in second.stderr
        assert holder in second.stderr and "--queue" in second.stderr
        assert sweep("status").returncode == 0  # looking is always allowed

        release = threading.Timer(1.5, held.close)
        release.start()
        waits = sweep(*launch, "--queue", check=0)
        release.join()
    assert f"waits for the launcher of this root: {holder}" in waits.stdout
    assert "tiny: 1/1 done" in waits.stdout


def test_a_failed_run_is_named_and_waits_for_retry(sweep, spec_file, damaged_npz):
    base = f"{{preset: digits-tiny, dataset.name: arrays, dataset.path: {damaged_npz}}}"
    file = spec_file(("{preset: digits-tiny, epochs: 2, dataset.limit: 256, batch_size: 64}", base))
    done = sweep("launch", file, "--executor", "local", check=1)
    assert (
        "failed before their first step, byol seed 0 with: "
        f"DataError: {str(damaged_npz)!r} is no .npz with x_train" in done.stdout
    )
    again = sweep("launch", file, "--executor", "local", check=1)
    assert "0 to run" in again.stdout and "--retry failed tries them again" in again.stdout
    assert "byol seeds 0, 1" in sweep("status", check=0).stdout
    retried = sweep("launch", file, "--executor", "local", "--retry", "failed", check=1)
    assert "4 to run" in retried.stdout


@pytest.mark.slow
def test_real_cifar_pixels_run_through_the_quick_profile(sweep, cifar_npz):
    file = REPO / "sweeps" / "norm_ablation.yaml"
    arrays = [
        "--set",
        "dataset.name=arrays",
        "--set",
        f"dataset.path={cifar_npz}",
        "--set",
        "epochs=1",
    ]
    quick = ["--profile", "quick", "--table", "mlp_norm", "--seeds", "0", "--executor", "inline"]
    sweep("launch", file, *quick, *arrays, check=0)
    report = json.loads(sweep("report", "--table", "mlp_norm", "--format", "json", check=0).stdout)
    assert {row["state"] for row in report["rows"]} == {"partial 1/3"}
    assert "arrays" in report["setting"]["description"]


def test_without_stl10_the_blog_setting_stops_before_anything_starts(sweep, tmp_path):
    done = sweep(
        "launch",
        REPO / "sweeps" / "norm_ablation.yaml",
        "--executor",
        "local",
        env={**os.environ, "SWEEP_DATA": str(tmp_path)},
    )
    assert done.returncode == 2 and done.stdout == ""
    assert (
        done.stderr.count("\n") == 1
        and "sweep data fetch stl10" in done.stderr
        and "--profile quick" in done.stderr
    )
    assert list((tmp_path / "sweep-runs" / "runs").iterdir()) == []


def test_dry_run_writes_nothing(sweep, spec_file, tmp_path):
    done = sweep("launch", spec_file(), "--dry-run", "--executor", "local", check=0)
    assert "4 runs, 4 to run" in done.stdout and not (tmp_path / "sweep-runs").exists()


def test_show_logs_and_export_tell_of_a_run(sweep, spec_file, tmp_path):
    chosen = ["--seeds", "0", "--only", "no_norm"]
    sweep("launch", spec_file(), "--executor", "inline", *chosen, check=0)
    listed = sweep("status", "--state", "completed", check=0).stdout
    (run,) = [line.split()[0] for line in listed.splitlines() if "no_norm" in line]
    shown = sweep("show", run, check=0).stdout
    assert "projector.norm=none" in shown and "COMPLETED ok" in shown and "probe" in shown
    assert (
        json.loads(sweep("show", run, "--json", check=0).stdout)["config"]["projector"]["norm"]
        == "none"
    )
    log = sweep("logs", run, "-f", check=0).stdout
    assert "step 0 " in log and "COMPLETED" in log
    sweep("export", "--out", "csv", check=0)
    header, *lines = (tmp_path / "csv" / "runs.csv").read_text().splitlines()
    assert "probe_v3.online.accuracy" in header and len(lines) == 1
    metrics = (tmp_path / "csv" / "series.csv").read_text().splitlines()
    assert metrics[0] == "run_id,attempt,step,metric,value" and len(metrics) > 10


BAD_USAGE = {
    "unknown executor": (
        ["launch", "SPEC", "--executor", "cloud"],
        "allowed: auto, slurm, local, inline",
    ),
    "unknown profile": (["launch", "SPEC", "--profile", "big"], "profile 'big' does not exist"),
    "unknown table": (["launch", "SPEC", "--table", "mlp_nrm"], "did you mean 'mlp_norm'"),
    "seeds that are none": (["launch", "SPEC", "--seeds", "a,b"], "write different numbers"),
    "the same seed twice": (["launch", "SPEC", "--seeds", "1,1"], "write different numbers"),
    "no assignment": (["launch", "SPEC", "--set", "epochs"], "write KEY=VALUE"),
    "unknown setting": (["launch", "SPEC", "--set", "epoch=3"], "did you mean 'epochs'"),
    "a swept setting": (
        ["launch", "SPEC", "--set", "projector.norm=bn"],
        "varies 'projector.norm' itself",
    ),
    "unknown state to retry": (["launch", "SPEC", "--retry", "running"], "is no state to retry"),
    "no such spec": (["launch", "nothing.yaml"], "no such file"),
    "no such sweep": (["status", "nothing"], "no sweep is called 'nothing'"),
    "no such state": (["status", "--state", "asleep"], "allowed: any"),
    "a setting of no table": (["report", "--setting", "ab"], "--setting needs --table NAME"),
    "a file of no table": (["report", "--out", "a.md"], "--out needs --table NAME"),
    "the list in a format of tables": (["report", "--format", "csv"], "text or json"),
    "a picture on the screen": (
        ["report", "--table", "norm", "--format", "svg"],
        "--out norm.svg",
    ),
    "a matrix in CSV": (
        ["report", "--table", "norm", "--layout", "matrix", "--format", "csv"],
        "leave it out for csv",
    ),
    "no such table": (["report", "--table", "norms"], "did you mean 'norm'"),
    "no such setting": (["report", "--table", "norm", "--setting", "abc"], "has no setting 'abc'"),
    "no such format": (
        ["report", "--table", "norm", "--format", "word"],
        "allowed: text, md, latex, csv, json",
    ),
    "no such run": (["show", "abc"], "no run starts with 'abc'"),
    "an empty run": (["logs", ""], "no run starts with ''"),
    "no such data set": (["data", "fetch", "imagenot"], "cannot be fetched"),
    "embedded data set": (["data", "fetch", "digits"], "nothing to fetch"),
    "a path that is no database": (
        ["--db", "bad://x", "status"],
        "no such database is supported; allowed: a path, sqlite:",
    ),
    "no database to compare": (
        ["--db", "none.db", "rebuild", "--verify"],
        "there is no such database to compare",
    ),
    "an empty database name": (["--db", "", "status"], "no such database is supported"),
    "watch as JSON": (["status", "--watch", "--json"], "--watch does not go with --json"),
    "bytes that are no text": (
        ["launch", "SPEC", "--set", "dataset.path=\udcff"],
        "is no text in UTF-8",
    ),
    "root on a file": (
        ["--root", "SPEC", "launch", "SPEC", "--executor", "local"],
        "choose another --root",
    ),
    "root behind the command, on a file": (
        ["launch", "SPEC", "--executor", "local", "--root=SPEC"],
        "choose another --root",
    ),
    "a value is missing": (["status", "--root"], "--root needs a value"),
    "no such option": (["launch", "SPEC", "--sedes", "1"], "No such option: --sedes"),
    "no such command": (["launhc"], "No such command 'launhc'"),
    "an argument is missing": (["launch"], "; `sweep launch -h` tells what is allowed"),
    "an argument too many": (["rebuild", "now"], "; `sweep rebuild -h` tells what is allowed"),
    "no number": (["launch", "SPEC", "--slots", "many"], "Invalid value for '--slots'"),
    "hostile option": (["status", "--\x1b[31m\nx"], "No such option"),
    "hostile sweep name": (["status", "\x1b[31m\x00'; DROP TABLE runs"], "no sweep is called"),
}


@pytest.mark.parametrize("name", BAD_USAGE)
def test_bad_usage_gets_one_line_that_helps(spec_file, tmp_path, name, capsys, monkeypatch):
    from orchestrator.cli.main import main

    words, text = BAD_USAGE[name]
    file = str(spec_file())
    (tmp_path / "sweep-runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["sweep", *(word.replace("SPEC", file) for word in words)])
    with pytest.raises(SystemExit) as stopped:
        main()
    out, err = capsys.readouterr()
    assert stopped.value.code in (1, 2) and text in err, err
    assert (
        err.startswith("error: ")
        and err.count("\n") == 1
        and "Traceback" not in err
        and "\x1b" not in err
    )
    assert not (tmp_path / "sweep-runs" / "runs").exists() or not any(
        (tmp_path / "sweep-runs" / "runs").iterdir()
    )
    assert out == ""


GOOD_USAGE = [
    "launch SPEC --dry-run --executor local",
    "launch SPEC --dry-run --executor inline",
    "launch SPEC --dry-run --executor local --profile small",
    "launch SPEC --dry-run --executor local --table mlp_norm",
    "launch SPEC --dry-run --executor local --seeds 0,1",
    "launch SPEC --dry-run --executor local --set epochs=3",
    "launch SPEC --dry-run --executor local --set target.tau_base=0.9",
    "launch SPEC --dry-run --executor local --retry failed,oom",
    "launch SPEC --dry-run --executor local --only byol",
    "launch SPEC --dry-run --executor local --rerun --slots 1",
    "status",
    "status --state any",
    "status --state FAILED",
    "status --state Any",
    "launch SPEC --dry-run --executor local --retry FAILED,Oom",
    "status --json",
    "report",
    "report --format json",
    "report --table norm",
    "report --table norm --layout matrix",
    "report --table norm --format csv",
    "report --table mlp_norm --format md --out table.md",
    "clean --dry-run",
    "export --out csv",
    "--db other.db status",
    "status --db other.db --root sweep-runs",
    "status --db=other.db --debug",
    "--root sweep-runs status",
]


@pytest.mark.parametrize("line", GOOD_USAGE)
def test_good_usage_is_accepted(spec_file, tmp_path, line, capsys, monkeypatch):
    """The valid twins of the refused command lines."""
    from orchestrator.cli.main import main

    file = str(spec_file(("tables:", "profiles: {small: {base: {epochs: 1}}}\ntables:")))
    (tmp_path / "sweep-runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "sys.argv", ["sweep", *(file if word == "SPEC" else word for word in line.split())]
    )
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code and capsys.readouterr().err == ""


def test_help_and_status_answer_within_a_second_or_so(tmp_path):
    """The bound is loose on purpose, for busy machines; docs/log.md has the measured times."""
    (tmp_path / "sweep-runs").mkdir()
    for arguments in (["--help"], ["status"]):
        started = time.monotonic()
        subprocess.run(command(*arguments), cwd=tmp_path, check=True, capture_output=True)
        assert time.monotonic() - started < 5
