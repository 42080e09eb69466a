"""Launching in its finer points: derived settings, reruns, pruning, tries, cost, cleaning; and
roots that have seen trouble.
"""

import io
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import SPEC
from sqlalchemy import func, select

from byol_core.config import canonical
from orchestrator.database import schema
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.errors import SpecError, UsageError
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.cost import estimate
from orchestrator.launch.max_steps import train_few_steps
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.requests import ResourceRequests
from orchestrator.launch.selection import Selection
from orchestrator.spec import expand, load_sweep
from orchestrator.spec.derive import FormulaError, evaluate
from orchestrator.status.diff import difference
from orchestrator.store.clean import find
from orchestrator.store.jobs import Queue
from orchestrator.store.locks import is_held, launcher_lock
from orchestrator.store.root import Root
from orchestrator.store.standing import standing
from orchestrator.store.state import State

INLINE = AttemptContext("inline", capture=False, device="cpu", threads=1)
VALUES = {"batch_size": 64, "optimizer.lr": 0.5, "method": "byol", "epochs": 3}


# Derived settings and axes that move together


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("0.2 * batch_size / 256", 0.05),
        ("batch_size / 2", 32),
        ("-(epochs + 1) ** 2", -16),
        ("2e-1*optimizer.lr", 0.1),
    ],
)
def test_a_formula_is_arithmetic_on_keys(formula, value):
    result = evaluate(formula, VALUES)
    assert result == pytest.approx(value) and isinstance(result, int) == isinstance(value, int)


@pytest.mark.parametrize(
    "formula",
    [
        *(
            "__import__('os').system('touch canary')",
            "batch_size.real",
            "unknown",
            "method * 2",
            "1 / 0",
            "9 ** 9 ** 9",
        ),
        *(
            "1e308 * 10",
            "",
            "1 if 2 else 3",
            "[1]",
            "x" * 300,
            "(" * 150,
            "True",
            "'a' * 3",
            "batch_size // 2",
            "1j",
        ),
    ],
)
def test_anything_else_is_refused_and_runs_nothing(formula, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormulaError):
        evaluate(formula, VALUES)
    assert list(tmp_path.iterdir()) == []


def test_derived_settings_follow_each_variant(spec_file):
    grid = 'grid: {batch_size: [32, 64]}\nderive: {optimizer.lr: "0.2 * batch_size / 256"}\n'
    sweep = load_sweep(spec_file(("tables:", grid + "tables:")))
    assert [variant.config.optimizer.lr for variant in expand(sweep)] == pytest.approx(
        [0.025, 0.05] * 2
    )
    with pytest.raises(UsageError, match="derives 'optimizer.lr' from"):
        load_sweep(spec_file(("tables:", grid + "tables:")), None, {"optimizer.lr": 1.0})


def test_zipped_axes_move_together(spec_file):
    together = "zip: {optimizer.lr: [0.5, 1.0], batch_size: [32, 64]}\ngrid: {target.tau_base: [0.9, 0.99]}\n"
    points = [
        (v.config.optimizer.lr, v.config.batch_size)
        for v in expand(load_sweep(spec_file(("tables:", together + "tables:"))))
    ]
    assert len(points) == 8 and set(points) == {(0.5, 32), (1.0, 64)}


# name: (what goes in before `tables:`, part of the error, a valid twin)
MORE_REFUSED = {
    "zip of unequal lengths": (
        "zip: {epochs: [1, 2], batch_size: [32]}",
        "equally long",
        "zip: {epochs: [1, 2], batch_size: [32, 64]}",
    ),
    "a key in variants and grid": (
        "grid: {projector.norm: [bn]}",
        "is set by",
        "grid: {projector.hidden: [64]}",
    ),
    "a key in grid and derive": (
        'grid: {epochs: [1]}\nderive: {epochs: "2"}',
        "is set by",
        'grid: {epochs: [1]}\nderive: {batch_size: "32"}',
    ),
    "seed as an axis": ("grid: {seed: [1]}", "seeds are no axis", "grid: {epochs: [1]}"),
    "preset as an axis": (
        "grid: {preset: [digits-tiny]}",
        "only stand in base",
        "grid: {init.scheme: [he]}",
    ),
    "derived from a derived": (
        'derive: {epochs: "2", batch_size: "epochs * 16"}',
        "cannot stand in a formula",
        'derive: {batch_size: "epochs * 16"}',
    ),
    "derived out of range": (
        'derive: {epochs: "0 - 1"}',
        "greater than or equal to 1",
        'derive: {epochs: "3 - 1"}',
    ),
    "derived no whole number": (
        'derive: {epochs: "3 / 2"}',
        "1.5 is not allowed",
        'derive: {epochs: "4 / 2"}',
    ),
    "exclude of an unknown key": (
        "exclude: [{when: {projector.nrm: bn}, because: x}]",
        "did you mean 'projector.norm'",
        "exclude: [{when: {projector.norm: none}, because: x}]",
    ),
    "exclude that matches nothing": (
        "exclude: [{when: {projector.norm: ln}, because: x}]",
        "no variant matches",
        "exclude: [{when: {projector.norm: none}, because: x}]",
    ),
    "an axis without values": (
        "grid: {epochs: []}",
        "must hold at least one value",
        "grid: {epochs: [1]}",
    ),
    "an axis that is no list": (
        "grid: {epochs: 3}",
        "a list, e.g. [0, 1, 2]",
        "grid: {epochs: [3]}",
    ),
    "keep what does not exist": (
        "keep: everything",
        "'encoder', 'networks', 'checkpoints' or 'nothing'",
        "keep: nothing",
    ),
    "a profile's unknown key": (
        "profiles: {p: {bas: {}}}",
        "did you mean 'base'",
        "profiles: {p: {base: {epochs: 1}}}",
    ),
    "null for a value": ("grid: {epochs: [null]}", "null", "grid: {epochs: [2]}"),
}


@pytest.mark.parametrize("name", MORE_REFUSED)
def test_a_bad_spec_is_refused_and_its_twin_is_not(spec_file, name):
    bad, text, good = MORE_REFUSED[name]
    with pytest.raises(SpecError) as error:
        expand(load_sweep(spec_file(("tables:", f"{bad}\ntables:"))))
    assert text in str(error.value).replace("None", "null") and "tiny.yaml" in str(error.value)
    assert expand(load_sweep(spec_file(("tables:", f"{good}\ntables:"))))


def test_a_table_that_does_not_exist_is_refused(spec_file, tmp_path):
    with pytest.raises(
        SpecError, match=r"tiny.yaml:9: tables: 'mlpnorm' does not exist; did you mean 'mlp_norm'"
    ):
        make_plan(
            load_sweep(spec_file(("[mlp_norm]", "[mlpnorm]"))), Root(tmp_path), Selection(), Queue()
        )


# What a launch does


@pytest.fixture
def root(tmp_path):
    made = Root(tmp_path / "root")
    made.create()
    return made


def plan_of(root, file, **selection):
    plan = make_plan(load_sweep(file), root, Selection(**selection), Queue())
    write_plan(plan, root)
    return plan


@pytest.fixture
def done(root, spec_file):
    """A root with one completed run, of variant byol and seed 0."""
    plan = plan_of(root, spec_file())
    run_attempt(root.path, plan.start[0].run_id, INLINE, lambda: None)
    return root.run(plan.start[0].run_id)


def test_rerun_trains_again_keeps_the_earlier_result_and_counts_the_new_one(done, root, spec_file):
    before = list(done.evaluations())
    assert run_attempt(root.path, done.run_id, INLINE, lambda: None) is None
    assert (
        run_attempt(root.path, done.run_id, replace(INLINE, rerun=True), lambda: None)
        == State.COMPLETED
    )
    assert standing(done, Queue()).attempt == 2 and list(done.evaluations()) == before
    assert (done.attempt(1).path / "evaluations" / "probe-v3.json").exists() and (
        done.path / "encoder"
    ).exists()
    plan = make_plan(
        load_sweep(spec_file()), root, Selection(retry=frozenset({State.COMPLETED})), Queue()
    )
    assert done.run_id in {run.run_id for run in plan.start} and plan.reuse == []


def test_a_rerun_that_slurm_requeues_trains_once(done, root):
    job = replace(INLINE, rerun=True, job_id="7_0")
    assert run_attempt(root.path, done.run_id, job, lambda: None) == State.COMPLETED
    assert (
        run_attempt(root.path, done.run_id, job, lambda: None) is None and len(done.attempts()) == 2
    )


def test_only_narrows_to_named_variants(root, spec_file):
    assert {run.variant.name for run in plan_of(root, spec_file(), only=["no_norm"]).start} == {
        "no_norm"
    }
    with pytest.raises(UsageError, match="did you mean 'no_norm'"):
        plan_of(root, spec_file(), only=["no_nrm"])


def test_pruned_are_runs_that_left_and_that_no_other_sweep_asks_for(root, spec_file):
    first = plan_of(root, spec_file())
    plan_of(
        root,
        spec_file(
            ("name: tiny", "name: other"), ("seeds: [0, 1]", "seeds: [0]"), name="other.yaml"
        ),
    )
    smaller = spec_file(("  no_norm: {projector.norm: none, predictor.norm: none}\n", ""))
    plan = make_plan(load_sweep(smaller), root, Selection(), Queue())
    of_no_norm = {run.seed: run.run_id for run in first.runs if run.variant.name == "no_norm"}
    assert plan.removed_variants == ["no_norm"] and plan.to_cancel == [of_no_norm[1]]
    write_plan(plan, root)
    again = make_plan(load_sweep(smaller), root, Selection(), Queue())
    assert again.to_cancel == plan.to_cancel  # remembered until it is pruned
    write_plan(again, root, pruned=True)
    assert make_plan(load_sweep(smaller), root, Selection(), Queue()).removed_variants == []


def test_a_try_prints_and_keeps_nothing(root, spec_file):
    lines = []
    status = train_few_steps(
        load_sweep(spec_file()), root, Selection(only=["byol"], seeds=[0]), 3, lines.append
    )
    assert (
        status == 0 and any("step 2" in line for line in lines) and "nothing is kept" in lines[-1]
    )
    assert root.runs() == [] and root.sweeps() == []


def test_cost_is_told_from_runs_of_the_same_kind(done, root, spec_file, tmp_path):
    engine = open_database(str(tmp_path / "results.db"))
    collect(root, engine, Queue())
    result = json.loads(done.attempt(1).done.read_text())

    def priced(*changes):
        return estimate(
            engine,
            make_plan(load_sweep(spec_file(*changes)), root, Selection(), Queue()),
            ResourceRequests("local"),
        )

    same = priced()
    assert same.unknown == 0 and same.measured == 1
    assert (
        same.run_hours == pytest.approx(3 * result["wall_s"] / 3600, rel=0.01)
        and same.disk_bytes == 3 * result["disk_bytes"]
    )
    assert priced(("epochs: 2", "epochs: 200")).run_hours > same.run_hours
    other = priced(("batch_size: 64", "batch_size: 32"))
    assert other.unknown == 4 and other.measured == 0


def test_clean_frees_what_no_result_needs_and_nothing_else(done, root):
    (done.path / "checkpoints").mkdir()
    (done.path / "checkpoints" / "x").write_bytes(b"12345")
    small = {
        path: path.read_bytes()
        for path in done.path.rglob("*.json*")
        if "encoder" not in path.parts
    }
    assert [(one.path.name, one.size_bytes) for one in find(root, Queue(), encoders=False)] == [
        ("checkpoints", 5)
    ]
    for one in find(root, Queue(), encoders=True):
        shutil.rmtree(one.path)
    assert not (done.path / "encoder").exists() and all(
        path.read_bytes() == content for path, content in small.items()
    )


def test_an_unfinished_run_is_never_cleaned(root, spec_file):
    plan = plan_of(root, spec_file())
    asked = iter([None, None, "stop"])
    run_attempt(root.path, plan.start[0].run_id, INLINE, lambda: next(asked))
    assert list(find(root, Queue(), encoders=True)) == []


def test_keep_nothing_and_keep_checkpoints(root, spec_file):
    for keep, left in (("nothing", set()), ("checkpoints", {"encoder", "checkpoints"})):
        plan = plan_of(
            root,
            spec_file(
                ("tables:", f"keep: {keep}\ntables:"),
                ("epochs: 2", "epochs: 1" if left else "epochs: 3"),
            ),
        )
        run_attempt(root.path, plan.start[0].run_id, INLINE, lambda: None)
        folder = root.run(plan.start[0].run_id).path
        assert {name for name in ("encoder", "checkpoints") if (folder / name).exists()} == left


def test_diff_names_what_two_runs_differ_in(root, spec_file):
    plan = plan_of(root, spec_file())
    byol, no_norm = (root.run(run.run_id) for run in plan.start[:2])
    assert difference(byol, no_norm) == {
        "sweeps": (["tiny: byol"], ["tiny: no_norm"]),
        "projector.norm": ("bn", "none"),
        "predictor.norm": ("bn", "none"),
        "projector.norm_affine": (True, None),
        "predictor.norm_affine": (True, None),
    }
    assert difference(byol, byol) == {}


def test_the_lock_is_seen_from_outside(root):
    assert not is_held(root)
    with launcher_lock(root):
        assert is_held(root)
    assert not is_held(root)


# Roots that have seen trouble


@pytest.fixture
def db(tmp_path):
    return open_database(str(tmp_path / "results.db"))


def count(db, table):
    with db.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table))


@pytest.mark.parametrize(
    "name",
    [
        "run.json",
        "attempts/0001/done.json",
        "attempts/0001/claim.json",
        "evaluations/probe-v3.json",
    ],
)
def test_a_damaged_file_is_named_and_the_other_runs_are_collected(done, root, db, name):
    (done.path / name).write_text('{"half')
    warnings = collect(root, db, Queue())

    # A result that cannot be read is the reason of its run; every other file is a warning.
    with db.connect() as connection:
        reasons = connection.scalars(select(schema.runs.c.reason)).all()
    lines = [line for line in [*warnings, *reasons] if line is not None]
    assert any(str(done.path / name) in line and "damaged" in line for line in lines)
    assert count(db, schema.runs) == (3 if name == "run.json" else 4)


def test_a_deleted_run_leaves_the_database_and_so_does_a_sweep(done, root, db):
    collect(root, db, Queue())
    assert count(db, schema.runs) == 4 and count(db, schema.points) > 0
    shutil.rmtree(done.path)
    collect(root, db, Queue())
    assert count(db, schema.runs) == 3 and count(db, schema.points) == 0
    shutil.rmtree(root.sweep("tiny").path)
    collect(root, db, Queue())
    assert count(db, schema.sweeps) == 0 and count(db, schema.sweep_runs) == 0


def test_one_database_can_serve_two_roots(done, root, db, tmp_path):
    other = Root(tmp_path / "other")
    other.create()
    collect(root, db, Queue())
    collect(other, db, Queue())
    assert count(db, schema.runs) == 4  # the empty root's collector drops nothing of its neighbour


def test_strange_things_in_a_root_are_passed_over(done, root, db):
    (root.path / "runs" / "notes.txt").write_text("hello")
    (root.path / "runs" / "backup").mkdir()
    assert collect(root, db, Queue()) == [] and count(db, schema.runs) == 4


def test_a_read_only_or_full_disk_is_one_error_and_loses_nothing(done, sweep, tmp_path):
    """A 1 MB file system of its own: launching there fails with one line; the finished run
    elsewhere is untouched.
    """
    small = tmp_path / "small"
    small.mkdir()
    if (
        os.getuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small]).returncode != 0
    ):
        pytest.skip("mounting a small file system needs root")
    try:
        (tmp_path / "big.yaml").write_text(
            SPEC.replace("seeds: [0, 1]", f"seeds: {list(range(60))}")
        )
        full = sweep("--root", small / "root", "launch", "big.yaml", "--executor", "local")
        assert (
            full.returncode == 1 and full.stderr.count("\n") == 1 and "No space left" in full.stderr
        )
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        read_only = sweep("--root", small / "other", "launch", "big.yaml", "--executor", "local")
        assert (
            read_only.returncode == 1
            and read_only.stderr.count("\n") == 1
            and "Read-only" in read_only.stderr
        )
        database = sweep("--root", tmp_path / "root", "--db", small / "results.db", "status")
        assert (
            database.returncode == 1
            and database.stderr.count("\n") == 1
            and "results.db" in database.stderr
        )
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)
    assert standing(done, Queue()).state == State.COMPLETED


def test_a_folder_of_another_run_is_refused(tmp_path, forked):
    def train(*arguments):
        tiny = ["--out", "run", "--set", "dataset.limit=128", "--set", "epochs=1"]
        return forked.run([*tiny, *arguments], tmp_path, program="byol_core")

    assert train().returncode == 0
    refused = train("--set", "seed=7")
    assert (
        refused.returncode == 2
        and "holds another run" in refused.stderr
        and refused.stderr.count("\n") == 1
    )
    if not Path("/dev/nvidia0").exists():
        assert "torch sees no GPU here" in train("--device", "cuda").stderr


def test_hostile_text_in_values_and_paths_goes_nowhere(spec_file, tmp_path, sweep):
    nasty = "$(touch canary);`touch canary`\x1b[31m<script>../../x"
    done = sweep(
        "launch",
        spec_file(),
        "--set",
        "dataset.name=arrays",
        "--set",
        f"dataset.path={nasty}",
        "--executor",
        "local",
    )
    assert done.returncode == 2 and "\x1b" not in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "canary").exists()


def test_curves_of_several_runs_are_laid_over_each_other(done, root, tmp_path):
    from PIL import Image

    from analysis.figures.curves import draw
    from analysis.load import series
    from analysis.report import report

    collect(root, open_database(str(tmp_path / "results.db")), Queue())
    found = series("loss", [done.run_id], db=tmp_path / "results.db")
    assert found["step"].tolist() == [0] and found["value"][0] > 0
    points = report(str(tmp_path / "results.db"), "mlp_norm").series("loss", [done.run_id])
    assert points == [(done.run_id, 0, 1, found["value"][0])]
    assert Image.open(io.BytesIO(draw(found, {done.run_id: "byol"}, "loss"))).width == 1200


KEYS_OF_NORMS = ("norm", "norm_affine")


def test_what_is_not_varied_is_equal_over_all_variants(spec_file):
    """The canonical configs of two variants differ in what the spec says, and what hangs on it."""
    one, other = (canonical(variant.config) for variant in expand(load_sweep(spec_file())))
    varied = {f"{part}.{key}" for part in ("projector", "predictor") for key in KEYS_OF_NORMS}
    assert {key for key in one if one[key] != other[key]} == varied
