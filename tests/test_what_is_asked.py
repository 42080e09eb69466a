"""The index knows what a spec asks for: all variants and seeds, whatever a launch was limited to."""

import json
import shutil

import pytest
from test_older_runs import FILES
from test_orchestrator_rebuild import finish

from analysis.results.connect import reading
from analysis.results.runs import _Settings, read_runs
from analysis.results.sweeps import read_sweeps
from byol_core.config import SEMANTICS
from byol_core.files import read_json, write_json
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.database.rebuild import rebuild, verify
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.store.annotations import annotate
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

THREE_SEEDS = ("seeds: [0, 1]", "seeds: [0, 1, 2]")


@pytest.fixture
def root(tmp_path):
    made = Root(tmp_path / "root")
    made.create()
    return made


@pytest.fixture
def db(tmp_path):
    return str(tmp_path / "results.db")


def launch(root, file, **selection):
    """Plan and write, start nothing."""
    sweep = load_sweep(file, assignments=selection.pop("assignments", None))
    write_plan(make_plan(sweep, root, Selection(**selection), Queue()), root)


def sweeps_of(root, db):
    engine = open_database(db)
    assert collect(root, engine, Queue()) == []
    engine.dispose()
    with reading(db) as connection:
        return read_sweeps(connection)


@pytest.mark.parametrize(
    "selection",
    [{}, {"seeds": [0]}, {"only": ["no_norm"]}, {"table": "mlp_norm"}, {"seeds": [7]}],
)
def test_a_narrowed_launch_asks_for_all_that_its_spec_says(root, db, spec_file, selection):
    file = spec_file(
        THREE_SEEDS,
        ("tables: [mlp_norm]", "  odd:     {optimizer.lr: 0.3}\ntables: [mlp_norm]"),
    )
    launch(root, file, **selection)
    (sweep,) = sweeps_of(root, db)
    assert (sweep.label, sweep.baseline, sweep.tables) == ("tiny", "byol", ("mlp_norm",))
    assert sweep.seeds == (0, 1, 2) and [*sweep.variants] == ["byol", "no_norm", "odd"]
    assert sweep.variants["odd"]["optimizer.lr"] == 0.3 and "seed" not in sweep.variants["odd"]

    # What was launched is no more than the selection.
    seeds = selection.get("seeds", [0, 1, 2])
    assert {seed for _, seed in sweep.runs} == set(seeds)
    variants = {variant for variant, _ in sweep.runs}
    assert variants == set(selection.get("only", variants))
    assert verify(db, root, Queue())[1] == []


def test_asked_settings_are_those_that_runs_get(root, db, spec_file):
    """Also where the count of images tells what a setting means, and in a narrowed launch."""
    beyond = ("dataset.limit: 256", "dataset.limit: 100000, init.affine_images: 90000")
    file = spec_file(beyond, ("norm: none, pred", "norm: affine, pred"))
    launch(root, file, only=["byol"])
    (asked,) = sweeps_of(root, db)
    launch(root, file)
    (sweep,) = sweeps_of(root, db)
    with reading(db) as connection:
        configs = {run.run_id: run.config for run in read_runs(connection)}
    for (variant, _), run_id in sweep.runs.items():
        expected = configs[run_id]
        assert expected == sweep.variants[variant] == asked.variants[variant]


def test_overrides_stand_in_what_is_asked(root, db, spec_file):
    launch(root, spec_file(), assignments={"optimizer.lr": 0.7})
    (sweep,) = sweeps_of(root, db)
    assert sweep.overrides == {"optimizer.lr": 0.7}
    assert {config["optimizer.lr"] for config in sweep.variants.values()} == {0.7}


def test_a_run_that_was_deleted_is_still_asked_for(root, db, spec_file):
    launch(root, spec_file(THREE_SEEDS))
    for run in root.runs():
        finish(run)
    (before,) = sweeps_of(root, db)
    deleted = before.runs["byol", 1]
    shutil.rmtree(root.run(deleted).path)

    (collected,) = sweeps_of(root, db)
    rebuild(db, root, Queue())
    (rebuilt,) = sweeps_of(root, db)
    assert before == collected == rebuilt
    with reading(db) as connection:
        there = {run.run_id for run in read_runs(connection)}
    assert {*before.runs.values()} - there == {deleted}
    assert verify(db, root, Queue())[1] == []


def test_the_newest_sweep_stands_first_and_forgotten_ones_nowhere(root, db, spec_file):
    launch(root, spec_file())
    launch(root, spec_file(("name: tiny", "name: second"), ("[mlp_norm]", "[]")))
    assert [sweep.label for sweep in sweeps_of(root, db)] == ["second", "tiny"]
    launch(root, spec_file())
    assert [sweep.label for sweep in sweeps_of(root, db)] == ["tiny", "second"]
    annotate(root.sweep("tiny").path, "forget", "")
    (second,) = sweeps_of(root, db)
    assert second.label == "second" and second.tables == ()


def test_a_plan_of_an_older_version_does_not_say_which_seeds(root, db, spec_file):
    launch(root, spec_file())
    file = root.sweep("tiny").plan
    plan = read_json(file)
    assert plan.pop("semantics") == SEMANTICS and plan.pop("seeds") == [0, 1]
    for variant in plan["variants"]:
        del variant["by_images"]
    write_json(file, plan)
    (sweep,) = sweeps_of(root, db)
    assert sweep.seeds is None and sweep.variants["no_norm"]["projector.norm"] == "none"


def test_settings_of_an_older_trainer_are_in_todays_words(root, db):
    for name, text in FILES.items():
        file = root.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (sweep,) = sweeps_of(root, db)
    with reading(db) as connection:
        configs = {run.run_id: dict(run.config) for run in read_runs(connection)}
    for (variant, _), run_id in sweep.runs.items():
        assert {**configs[run_id], "seed": 0} == {**sweep.variants[variant], "seed": 0}
    assert json.loads(FILES["sweeps/small/plan.json"])["variants"][0]["name"] in sweep.variants


def test_runs_of_a_variant_are_parsed_once_and_share_one_mapping(monkeypatch):
    parsed = []

    def counting(text):
        parsed.append(text)
        return json.JSONDecoder().decode(text)

    monkeypatch.setattr("analysis.results.runs.json.loads", counting)
    configs = [{"method": "byol", "seed": seed, "optimizer.lr": 0.1} for seed in (1, 12, 0)]
    odd = [{"method": "byol", "seed": 1, "names": ['"seed": 1', nested]} for nested in ("1", "12")]
    nested = [{"seed": 1, "options": {"seed": inner}} for inner in (1, 2)]
    settings = _Settings()
    for config in [*configs, *odd, *nested]:
        text = json.dumps(config)
        without_seed = {key: value for key, value in config.items() if key != "seed"}
        assert settings.of_run(text, config["seed"], SEMANTICS) == without_seed
    assert len(parsed) == 1 + len(odd) + len(nested)
