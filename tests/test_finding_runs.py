"""`sweep runs`, `exclude`, `note`, `forget`, and runs that are named VARIANT:SEED."""

import io
import json
import os
import shutil
import time
from dataclasses import asdict

import pytest
from rich.console import Console
from sqlalchemy import select
from test_orchestrator_store import INLINE
from typer.testing import CliRunner

from byol_core.files import RecordLog, claim_folder, write_json
from orchestrator.cli.main import app
from orchestrator.database import schema
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.database.stamps import stamp_of
from orchestrator.errors import UsageError
from orchestrator.launch.cancel import Choice, check_idle, find
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.launch.terminal import show_plan
from orchestrator.machine.processes import this_process
from orchestrator.spec import load_sweep
from orchestrator.status.runs_list import Request, list_runs
from orchestrator.status.runs_source import KEYS
from orchestrator.status.runs_text import lines
from orchestrator.store.annotations import Kind, annotate
from orchestrator.store.jobs import JobFacts, Queue
from orchestrator.store.names import find_run, find_run_or_sweep, find_sweep

PROBES = {"byol:0": 0.9, "byol:1": 0.8, "no_norm:0": 0.4}


def finish(run, probe, version=3):
    """Leave what a run leaves that has completed, without training."""
    attempt = run.attempt(1)
    (run.path / "attempts").mkdir()
    claim = {"process": asdict(this_process()), "job": asdict(INLINE), "claimed_at": 1000.0}
    claim_folder(attempt.path, "claim.json", claim)
    with RecordLog(attempt.events) as log:
        origin = {"commit": "c0ffee" + "0" * 34, "versions": {}}
        log.append(
            {"t": 1000.0, "type": "start", "step": 0, "total_steps": 8}
            | {"exact": True, "origin": origin}
        )
        metrics = {"loss": 1 - probe}
        log.append(
            {"t": 2000.0, "type": "metrics", "step": 8, "metrics": metrics, "images_per_s": 5.0}
        )
        log.append({"t": 4600.0, "type": "end", "state": "COMPLETED", "reason": None})
    done = {"outcome": "ok", "step": 8, "wall_s": 3600.0, "final": {"std_sqrt_d": probe}}
    write_json(attempt.done, done)
    (run.path / "evaluations").mkdir()
    evaluation = {"protocol": "probe", "version": version, "online": {"accuracy": probe}}
    write_json(run.path / "evaluations" / f"probe-v{version}.json", evaluation)


@pytest.fixture
def root(root):
    """Three of the four runs have completed."""
    for name, probe in PROBES.items():
        finish(find_run(root, name), probe)
    return root


@pytest.fixture
def call(root, tmp_path):
    """Run a command in this process; return what it prints, or raise its error."""

    def call(*words):
        places = ["--root", str(root.path), "--db", str(tmp_path / "results.db")]
        done = CliRunner().invoke(app, [*places, *map(str, words)])
        if isinstance(done.exception, Exception):
            raise done.exception
        return done.stdout

    return call


@pytest.fixture
def listed(root, tmp_path):
    """List runs as `variant:seed`, in order."""

    def listed(where=(), **request):
        db = open_database(str(tmp_path / "results.db"))
        collect(root, db, Queue())
        rows = list_runs(db, Request(conditions=where, **request)).rows
        return [f"{row['variant']}:{row['seed']}" for row in rows]

    return listed


ALL = ["byol:0", "byol:1", "no_norm:0", "no_norm:1"]


def test_results_of_an_older_version_of_the_probe_are_listed_and_never_compared(root, call):
    """They stand in no mean, difference, table or order with those of a newer one."""
    (find_run(root, "byol:0").path / "evaluations" / "probe-v3.json").rename(
        root.path / "elsewhere"
    )
    evaluation = {"protocol": "probe", "version": 1, "online": {"accuracy": 0.95}}
    write_json(find_run(root, "byol:0").path / "evaluations" / "probe-v1.json", evaluation)

    # Lists name the version, and sort each by itself.
    rows = json.loads(call("runs", "--json", "--sort", "-accuracy"))["runs"]
    assert [(row["accuracy_version"], row["accuracy"]) for row in rows] == [
        *((3, 0.8), (3, 0.4), (1, 0.95), (None, None))
    ]
    assert "95.0% (v1)" in call("runs") and "80.0% (v" not in call("runs")

    # A mean is that of one version.
    status = call("status")
    assert "80.0%" in status and "87.5%" not in status
    assert "1 run judged by an older version of the probe than 3" in " ".join(status.split())
    runs = json.loads(call("status", "--json"))["sweeps"][0]["runs"]
    assert {(run["probe"], run["probe_version"]) for run in runs} >= {(0.95, 1), (0.8, 3)}

    # A difference is that of one version.
    unlike = json.loads(call("diff", "byol:0", "byol:1", "--json"))
    assert unlike["probe_v1.online.accuracy"] == [0.95, None]
    assert unlike["probe_v3.online.accuracy"] == [None, 0.8]

    # A table too: the baseline of the one is not that of the other.
    report = json.loads(call("report", "--table", "mlp_norm", "--format", "json"))
    assert report["metric"]["version"] == report["setting"]["values"]["probe_version"] == 3
    values = {row["label"]: row["values"] for row in report["rows"] if row["n"]}
    assert values == {"BYOL": {"1": 0.8}, "No normalization": {"0": 0.4}}
    (older,) = report["other_settings"]
    words = ("--table", "mlp_norm", "--setting", older["id"], "--format", "json")
    report = json.loads(call("report", *words))
    values = {row["label"]: row["values"] for row in report["rows"] if row["n"]}
    assert report["metric"]["version"] == 1 and values == {"BYOL": {"0": 0.95}}


@pytest.mark.parametrize("version", [1, 3])
def test_a_result_that_is_written_over_in_place_is_noticed_whatever_its_version(root, version):
    run = find_run(root, "byol:0")
    file = run.path / "evaluations" / f"probe-v{version}.json"
    (run.path / "evaluations" / "probe-v3.json").rename(file)
    before = stamp_of(run, 1)
    os.utime(file, (5e8, 5e8))
    assert stamp_of(run, 1) != before


def test_diff_lists_the_final_measures_that_differ(root, call):
    unlike = json.loads(call("diff", "byol:0", "byol:1", "--json"))
    assert unlike["final.std_sqrt_d"] == [0.9, 0.8] == unlike["probe_v3.online.accuracy"]
    assert json.loads(call("diff", "byol:0", "no_norm:1", "--json"))["final.std_sqrt_d"][1] is None
    assert "final.std_sqrt_d" in call("diff", "byol:0", "byol:1")


# Which runs


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ([], ALL),
        (["state=completed"], ALL[:3]),
        (["state=PLANNED"], ALL[3:]),
        (["seed=0", "state=completed"], ["byol:0", "no_norm:0"]),
        (["variant=byol", "variant=no_norm", "seed=1"], ["byol:1", "no_norm:1"]),
        (["projector.norm=none"], ALL[2:]),
        (["epochs=2.0"], ALL),
        (["commit=c0ffee"], ALL[:3]),
        (["commit=beef"], []),
        (["sweep=tiny"], ALL),
        (["device=cpu"], ALL[:3]),
        (["excluded=yes"], ["byol:1"]),
        (["excluded=No", "seed=1"], ["no_norm:1"]),
        (["tag=odd"], ["no_norm:0"]),
        (["tag=paper"], ALL),
        (["tag=zzzzzzzz"], []),
        (["host=zzzzzzzz"], []),
        (["seed=7"], []),
        (["optimizer.lr=0.37"], []),
        (["state=failed", "variant=byol", "projector.norm=bn"], []),
    ],
)
def test_where_finds_runs_by_what_they_are(root, listed, where, expected):
    annotate(find_run(root, "byol:1").path, Kind.EXCLUDE, "wrong lens")
    annotate(find_run(root, "no_norm:0").path, Kind.TAG, "odd")
    annotate(root.sweep("tiny").path, Kind.TAG, "paper")
    assert listed(where=where) == expected


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"where": ["stat=failed"]}, "no run has 'stat'; did you mean 'state'?"),
        ({"where": ["projector.nrm=bn"]}, "did you mean 'projector.norm'?"),
        ({"where": ["state=complted"]}, "did you mean 'COMPLETED'?"),
        ({"where": ["variant=nonorm"]}, "did you mean 'no_norm'?"),
        ({"where": ["projector.norm=non"]}, "did you mean 'none'?"),
        ({"where": ["excluded=?"]}, "allowed: false, no, true, yes"),
        ({"where": ["state"]}, "write KEY=VALUE"),
        ({"sweep": "tinny"}, "no sweep is called 'tinny'; did you mean 'tiny'?"),
        ({"where": ["sweep=tinny"]}, "did you mean 'tiny'?"),
        ({"sort": "-acuracy"}, "did you mean 'accuracy'?"),
        ({"columns": ["lss"]}, "did you mean 'loss'?"),
    ],
)
def test_a_misspelt_key_or_value_gets_the_nearest(listed, request_, problem):
    with pytest.raises(UsageError) as error:
        listed(**request_)
    assert problem in str(error.value) and "\n" not in str(error.value)


def test_a_number_is_never_misspelt(listed):
    assert listed(where=["accuracy=0.99"]) == listed(where=["loss=1e-3"]) == []


def test_a_setting_without_its_section_gets_the_nearest_few(listed):
    with pytest.raises(UsageError) as error:
        listed(where=["nrm=none"])
    assert "did you mean 'encoder.norm'" in str(error.value) and len(str(error.value)) < 120


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("accuracy", ["no_norm:0", "byol:1", "byol:0", "no_norm:1"]),
        ("-accuracy", ["byol:0", "byol:1", "no_norm:0", "no_norm:1"]),
        ("-seed", ["byol:1", "no_norm:1", "byol:0", "no_norm:0"]),
        ("-predictor.norm", ["no_norm:0", "no_norm:1", "byol:0", "byol:1"]),
        ("loss", ["byol:0", "byol:1", "no_norm:0", "no_norm:1"]),
        ("final.std_sqrt_d", ["no_norm:0", "byol:1", "byol:0", "no_norm:1"]),
    ],
)
def test_sort_takes_settings_and_metrics_and_puts_what_is_missing_last(listed, sort, expected):
    assert listed(sort=sort) == expected


def test_a_run_of_two_sweeps_is_listed_once_under_the_newest(root, listed, spec_file):
    plan = root.sweep("tiny").read_plan()
    again = root.sweep("again")
    again.path.mkdir()
    variants = [{**variant, "name": f"x_{variant['name']}"} for variant in plan["variants"]]
    runs = [{**run, "variant": f"x_{run['variant']}"} for run in plan["runs"][:2]]
    newer = {"label": "again", "name": "again", "launched_at": plan["launched_at"] + 9}
    write_json(again.plan, {**plan, **newer, "variants": variants, "runs": runs})
    assert sorted(listed()) == ["byol:1", "no_norm:1", "x_byol:0", "x_no_norm:0"]
    assert sorted(listed(sweep="tiny")) == ALL
    assert sorted(listed(sweep="again")) == ["x_byol:0", "x_no_norm:0"]


def test_a_run_that_left_every_spec_is_still_listed(root, listed):
    plan = root.sweep("tiny").read_plan()
    kept = [run for run in plan["runs"] if run["variant"] == "byol"]
    write_json(root.sweep("tiny").plan, {**plan, "runs": kept, "launched_at": time.time() + 9})
    assert listed()[:2] == ["byol:0", "byol:1"] and listed()[2:] == ["None:0"]
    assert listed(sweep="tiny") == ["byol:0", "byol:1"]


# How they are shown


def test_json_has_these_keys_and_fractions(call):
    document = json.loads(call("runs", "--json", "--sort", "-accuracy", "--limit", "2"))
    assert [*document] == ["count", "runs"] and document["count"] == 4
    first, second = document["runs"]
    assert tuple(first) == KEYS
    assert (
        *("run_id", "sweep", "variant", "seed", "state", "outcome", "excluded", "tags"),
        *("accuracy", "std_sqrt_d", "commit", "date", "hours", "host", "device"),
        *("step", "total_steps", "accuracy_version"),
    ) == KEYS
    assert (first["accuracy"], first["hours"], first["date"]) == (0.9, 1.0, 4600.0)
    assert second["accuracy"] == 0.8 and first["commit"].startswith("c0ffee")
    (planned,) = json.loads(call("runs", "--json", "--where", "state=planned"))["runs"]
    assert planned["accuracy"] is planned["commit"] is planned["date"] is planned["host"] is None
    chosen = json.loads(call("runs", "--json", "--columns", "loss,projector.norm"))["runs"]
    assert all([*row] == ["run_id", "loss", "projector.norm"] for row in chosen)


def test_a_pipe_gets_whole_lines_and_percent(call):
    heading, *rows = call("runs", "--sort", "-accuracy").splitlines()
    assert heading.split()[:6] == ["run", "sweep", "variant", "seed", "state", "accuracy"]
    assert heading.split()[-1] == "host" and len(rows) == 4
    assert "90.0%" in rows[0] and "c0ffee0000" in rows[0] and "–" in rows[3]
    assert call("runs", "--where", "state=failed") == ""


@pytest.mark.parametrize("width", [80, 66, 56])
def test_a_narrow_terminal_leaves_out_what_matters_least_and_says_so(root, tmp_path, width):
    annotate(find_run(root, "byol:1").path, Kind.EXCLUDE, "wrong lens")
    db = open_database(str(tmp_path / "results.db"))
    collect(root, db, Queue())
    listing = list_runs(db, Request())
    *grid, note = lines(listing, width)
    assert max(map(len, grid)) <= width and "COMPLETED excluded" in "\n".join(grid)
    assert note.startswith("no room for host, commit") and grid[0].startswith("run")
    own_choice = list_runs(db, Request(columns=["run_id", "host", "commit", "sweep", "epochs"]))
    assert len(list(lines(own_choice, 20))) == 5


# Names


def test_a_run_is_named_by_its_variant_and_seed(root, call):
    run = find_run(root, "no_norm:1")
    assert find_run(root, "tiny/no_norm:1") == run == find_run(root, run.run_id[:12])
    assert json.loads(call("show", "no_norm:1", "--json"))["run_id"] == run.run_id
    assert "projector.norm" in call("diff", "byol:0", "tiny/no_norm:0")
    assert "1 run would be cancelled" in call("cancel", "--run", "no_norm:1", "--dry-run")
    assert "loss" in call("logs", "byol:0")


def test_a_variants_name_may_hold_any_sign(root):
    plan = root.sweep("tiny").read_plan()
    odd = "optimizer.lr=0.5, dataset.path=/a:b"
    runs = [{**plan["runs"][0], "variant": odd}, *plan["runs"][1:]]
    variants = [*plan["variants"], {**plan["variants"][0], "name": odd}]
    write_json(root.sweep("tiny").plan, {**plan, "runs": runs, "variants": variants})
    assert find_run(root, f"{odd}:0").run_id == plan["runs"][0]["run_id"]
    assert find_run(root, f"tiny/{odd}:0").run_id == plan["runs"][0]["run_id"]


@pytest.fixture
def double(root, spec_file):
    """A second sweep whose `byol` is another setting."""
    changed = spec_file(("name: tiny", "name: other"), ("epochs: 2", "epochs: 3"))
    write_plan(make_plan(load_sweep(changed), root, Selection(), Queue()), root)
    return root


def test_an_ambiguous_name_lists_its_candidates(double):
    with pytest.raises(UsageError) as error:
        find_run(double, "byol:0")
    ours, others = find_run(double, "tiny/byol:0"), find_run(double, "other/byol:0")
    assert ours != others
    for name, run in (("tiny/byol:0", ours), ("other/byol:0", others)):
        assert f"{name} ({run.run_id[:10]})" in str(error.value)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("byl:0", "did you mean 'byol:0'?"),
        ("byol:7", "did you mean 'byol:"),
        ("tinny/byol:0", "did you mean 'tiny/byol:0'?"),
        ("byol", "name its seed too: byol:0, byol:1"),
        ("nonorm", "did you mean 'no_norm:"),
        ("", "no run starts with ''; `sweep runs` lists them"),
    ],
)
def test_a_misspelt_run_gets_the_nearest(root, name, problem):
    with pytest.raises(UsageError) as error:
        find_run(root, name)
    assert problem in str(error.value)


def test_a_sweep_is_named_with_or_without_its_profile(root):
    assert find_sweep(root, "tiny") == root.sweep("tiny") == find_run_or_sweep(root, "tiny")
    assert find_run_or_sweep(root, "byol:0") == find_run(root, "byol:0")
    for find_it in (find_sweep, find_run_or_sweep):
        with pytest.raises(UsageError, match="did you mean 'tiny'"):
            find_it(root, "tinny")
    with pytest.raises(UsageError) as error:
        find_run_or_sweep(root, "zzzz")
    ways = "there are: tiny (a run is named by the first digits of its id or as VARIANT:SEED)"
    assert str(error.value).endswith(ways)


@pytest.fixture
def changed(root, spec_file):
    """Two launches of the same spec with --set, which are sweeps of their own."""
    for epochs in (3, 4):
        sweep = load_sweep(spec_file(), None, {"epochs": epochs})
        write_plan(make_plan(sweep, root, Selection(), Queue()), root)
    return [sweep.path.name for sweep in root.sweeps() if "+" in sweep.path.name]


def test_an_exact_label_means_that_sweep_alone(root, changed, call):
    own = {run["run_id"] for run in root.sweep("tiny").read_plan()["runs"]}
    assert find_run(root, "tiny/byol:0").run_id in own
    assert find_run(root, f"{changed[0]}/byol:0").run_id not in own
    assert find_sweep(root, "tiny") == root.sweep("tiny") == find_run_or_sweep(root, "tiny")

    listed = [status["sweep"] for status in json.loads(call("status", "tiny", "--json"))["sweeps"]]
    assert listed == ["tiny"]
    for words in (["tiny"], ["--where", "sweep=tiny"]):
        assert json.loads(call("runs", *words, "--json"))["count"] == len(own)
    settings = json.loads(call("report", "tiny", "--format", "json"))["tables"]
    sweeps = {setting["sweep"] for table in settings for setting in table["settings"]}
    assert sweeps == {"tiny"}
    assert "1 run would be cancelled" in call("cancel", "tiny", "--dry-run")


def test_without_an_exact_label_a_specs_name_stands_for_all_its_labels(root, changed, call):
    shutil.rmtree(root.sweep("tiny").path)
    for find_it, name in ((find_run, "tiny/byol:0"), (find_sweep, "tiny")):
        with pytest.raises(UsageError, match="names 2"):
            find_it(root, name)
    assert len(json.loads(call("status", "tiny", "--json"))["sweeps"]) == 2
    assert json.loads(call("runs", "tiny", "--json"))["count"] == 8
    assert "8 runs would be cancelled" in call("cancel", "tiny", "--dry-run")
    with pytest.raises(UsageError, match="no sweep is called 'tin'"):
        call("cancel", "tin", "--dry-run")


# Excluded runs


def report(call, *options):
    return call("report", "--table", "mlp_norm", *options)


def test_tables_leave_an_excluded_run_out_and_say_so_in_every_format(call):
    before = json.loads(report(call, "--format", "json"))["rows"]
    assert call("exclude", "byol:1", "--because", "wrong | lens").startswith("excluded run ")
    mark = "excluded 1/2: wrong | lens (seed 1)"

    rows = {row["label"]: row for row in json.loads(report(call, "--format", "json"))["rows"]}
    byol = rows["BYOL"]
    assert (byol["n"], byol["mean"], byol["state"]) == (1, 0.9, "done 1/1")
    assert byol["marks"] == [mark] and byol["values"] == {"0": 0.9} and byol["collapsed"] == [0, 1]
    other = next(row for row in before if row["label"] == "No normalization")
    now = rows["No normalization"]
    changed = {"n_pairs", "delta", "delta_ci95", "p_holm", "marks", "codes"}
    assert other["marks"] == ["unequal n: 1 for 2"] and now["marks"] == []
    assert all(now[key] == other[key] for key in other.keys() - changed)
    lines = report(call, "--format", "csv").splitlines()
    (csv,) = [line for line in lines if ",BYOL,byol,accuracy," in line]
    assert "done 1/1" in csv and mark in csv

    text = report(call)
    (line,) = [line for line in text.splitlines() if line.startswith("BYOL ")]
    assert line.split("done 1/1")[1].strip().startswith("e")
    assert "BYOL 1/2: wrong | lens (seed 1)." in " ".join(text.split())
    markdown = report(call, "--format", "md")
    assert "BYOL 1/2: wrong \\| lens (seed 1)." in markdown

    assert "use it again" in call("include", "byol:1")
    assert json.loads(report(call, "--format", "json"))["rows"] == before
    assert "nothing to do" in call("include", "byol:1")


def test_a_row_of_which_all_runs_are_excluded_has_no_number(call):
    for seed, reason in ((0, "late"), (1, "late")):
        call("exclude", f"byol:{seed}", "--because", reason)
    rows = {row["label"]: row for row in json.loads(report(call, "--format", "json"))["rows"]}
    byol = rows["BYOL"]
    assert (byol["n"], byol["mean"], byol["state"]) == (0, None, "excluded 0/2")
    assert byol["marks"] == ["excluded 2/2: late (seed 0, 1)"]
    assert rows["No normalization"]["delta"] is None
    report(call)  # the figure too


def test_status_show_and_runs_say_what_people_said(root, call):
    call("exclude", "byol:1", "--because", "wrong lens")
    call("note", "byol:1", "seen by eye", "--tag", "lens-2")
    call("note", "tiny", "for the talk", "--tag", "paper")
    text = call("status")
    assert "excluded  byol seed 1 (" in text and ": wrong lens" in text
    assert "tags: paper" in text and "note: for the talk" in text
    assert "90.0%" in text and "85.0%" not in text  # the mean is that of the table
    assert "excluded: wrong lens; tags: lens-2" in call("status", "--state", "any")
    (status,) = json.loads(call("status", "--json"))["sweeps"]
    assert status["tags"] == ["paper"] and status["note"] == "for the talk"
    (run,) = [run for run in status["runs"] if run["excluded"]]
    assert run["excluded"] == "wrong lens" and run["tags"] == ["lens-2"]
    shown = call("show", "byol:1")
    assert ": wrong lens" in shown and "tags     lens-2" in shown and ": seen by eye" in shown
    details = json.loads(call("show", "byol:1", "--json"))
    assert details["excluded"]["text"] == "wrong lens" and details["tags"] == ["lens-2"]
    assert "lens-2,paper" in call("runs", "--where", "excluded=yes")
    difference = json.loads(call("diff", "byol:0", "byol:1", "--json"))
    assert difference["excluded"] == [None, "wrong lens"] and difference["tags"] == [[], ["lens-2"]]
    call("note", "byol:1", "--untag", "lens-2")
    assert "lens-2" not in call("runs")


def test_a_launch_counts_an_excluded_run_as_done(root, call, spec_file):
    call("exclude", "byol:1", "--because", "wrong lens")
    assert "3 done already" in call("launch", spec_file(), "--dry-run", "--executor", "inline")
    again = call("exclude", "byol:1", "--because", "no, a scratch")
    assert again.startswith("it was excluded before (wrong lens); the newer reason counts")


def test_what_says_nothing_is_refused(call):
    for words, problem in (
        (("note", "tiny"), "nothing to note"),
        (("note", "tiny", "--untag", "x"), "has no such tag; tags: none"),
        (("exclude", "byol:1", "--because", " "), "its text is empty"),
        (("note", "tiny", "--tag", "a b"), "is no name of a tag"),
    ):
        with pytest.raises(UsageError, match=problem):
            call(*words)


# Forgotten sweeps


def test_a_forgotten_sweep_shows_nowhere_until_it_is_remembered(double, call, tmp_path):
    assert "nothing was deleted" in call("forget", "other", "--because", "a try")
    assert [sweep["sweep"] for sweep in json.loads(call("status", "--json"))["sweeps"]] == ["tiny"]
    assert {row["sweep"] for row in json.loads(call("runs", "--json"))["runs"]} == {"tiny"}
    call("export", "--out", tmp_path / "out", "--format", "json")
    assert '"other"' not in (tmp_path / "out" / "sweeps.json").read_text()
    document = json.loads(report(call, "--format", "json"))
    assert document["setting"]["sweep"] == "tiny" and not document["other_settings"]
    listed = call("status", "--forgotten")
    assert listed.startswith("other  forgotten ") and ": a try" in listed
    for words in (("status", "other"), ("runs", "other"), ("cancel", "other")):
        with pytest.raises(UsageError, match="is forgotten.* sweep forget --undo other"):
            call(*words)
    assert find_run(double, "byol:0") == find_run(double, "tiny/byol:0")
    assert find_run(double, "other/byol:0").path.exists()

    assert "forgotten already" in call("forget", "other")
    assert "other is back" in call("forget", "--undo", "other")
    assert len(json.loads(call("status", "--json"))["sweeps"]) == 2
    assert "no sweep is forgotten" in call("status", "--forgotten")


def test_a_forgotten_sweep_wants_none_of_its_runs(root, spec_file):
    text = ("name: tiny", "name: other")
    write_plan(make_plan(load_sweep(spec_file(text)), root, Selection(), Queue()), root)
    chosen = find(root, Choice(sweeps=["tiny"]), Queue())
    assert len(chosen.spared) == 1 and not chosen.run_ids
    annotate(root.sweep("other").path, Kind.FORGET)
    chosen = find(root, Choice(sweeps=["tiny"]), Queue())
    assert len(chosen.run_ids) == 1 and not chosen.spared

    # --prune asks the same.
    byol_alone = spec_file(("seeds: [0, 1]", "seeds: [0]"))
    plan = make_plan(load_sweep(byol_alone), root, Selection(), Queue())
    assert len(plan.to_cancel) == 2
    annotate(root.sweep("other").path, Kind.REMEMBER)
    assert make_plan(load_sweep(byol_alone), root, Selection(), Queue()).to_cancel == []


def test_forgetting_waits_for_jobs_of_the_sweep_alone(root, spec_file):
    run_id = find_run(root, "no_norm:1").run_id
    queue = Queue(live={run_id: JobFacts("7", "PENDING")})
    with pytest.raises(UsageError, match="1 run queued or running; .*: sweep cancel tiny"):
        check_idle(root, "tiny", queue)
    text = ("name: tiny", "name: other")
    write_plan(make_plan(load_sweep(spec_file(text)), root, Selection(), Queue()), root)
    check_idle(root, "tiny", queue)  # the other sweep goes on wanting it


@pytest.mark.parametrize(
    ("live", "ending"),
    [
        ([], "no_norm; what they computed stays\n"),
        (["byol:0"], "no_norm; what they computed stays\n"),
        (["no_norm:1"], "what they computed stays (--prune cancels 1 run queued or running)\n"),
    ],
)
def test_prune_is_offered_where_what_left_the_spec_has_jobs(root, spec_file, live, ending):
    smaller = spec_file(("  no_norm: {projector.norm: none, predictor.norm: none}\n", ""))
    queue = Queue(live={find_run(root, name).run_id: JobFacts("7", "PENDING") for name in live})
    plan = make_plan(load_sweep(smaller), root, Selection(), queue)
    console = Console(width=80, file=io.StringIO())
    show_plan(console, plan, "slurm", None)
    printed = console.file.getvalue()
    assert "no longer in the spec, or changed: no_norm; " in printed and ending in printed


def test_launching_a_forgotten_sweep_brings_it_back(root, call, spec_file, tmp_path):
    finish(find_run(root, "no_norm:1"), 0.3)
    call("forget", "tiny")
    assert "tiny was forgotten; it is back" in call("launch", spec_file(), "--executor", "inline")
    with open_database(str(tmp_path / "results.db")).connect() as connection:
        assert connection.scalar(select(schema.sweeps.c.forgotten_at)) is None
        kinds = connection.scalars(select(schema.annotations.c.kind)).all()
    assert kinds == ["forget", "remember"]


def test_a_run_that_no_sweep_wants_is_listed_only_if_something_was_made_of_it(root, tmp_path):
    for sweep in root.sweeps():
        shutil.rmtree(sweep.path)
    engine = open_database(str(tmp_path / "left.db"))
    collect(root, engine, Queue())
    states = [row["state"] for row in list_runs(engine, Request()).rows]
    assert states and "PLANNED" not in states and len(states) < len(root.runs())
