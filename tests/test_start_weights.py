"""Starting from the networks that another run has ended with: what is kept, what is loaded, and
which run it is.
"""

import re
import shutil

import pytest
import torch
from conftest import REPO, Silent
from training import CPU, Lab
from typer.testing import CliRunner

from byol_core.config import ConfigError, DataIdentity, canonical, resolve, run_id
from byol_core.kept_networks import NETWORKS, check_start, start_digest
from byol_core.networks.init import initialize
from byol_core.train import Options, train
from byol_core.train.final_networks import keep_networks, load_start
from byol_core.train.start import needs_images, start_networks
from orchestrator.cli.main import app
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import expand, load_sweep
from orchestrator.status.reproduce.recipe import recipe
from orchestrator.status.reproduce.script import lines
from orchestrator.store.clean import find
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

SMALL = {"dataset.limit": 64, "batch_size": 16, "projector.hidden": 12, "predictor.hidden": 12}
ONCE = Options(device="cpu", threads=1, protocols=(), log_every=1, checkpoint_every_s=60)
DATA = DataIdentity("f" * 64, "as stored")


def config_of(**settings):
    """`a__b` is the key `a.b`."""
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    return resolve("digits-tiny", {**SMALL, **dotted})


def kept_in(folder, steps=2, **settings):
    """Train a few steps, keep the networks, and return what trained them."""
    lab = Lab(config_of(**settings))
    lab.steps(steps)
    keep_networks(folder, lab.config, 1, lab.online, lab.target)
    return lab


def started(config):
    return start_networks(config, 1, 10, CPU)


def state_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def equal(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of networks, and the lab that trained them."""
    folder = tmp_path_factory.mktemp("trained") / NETWORKS
    return folder, kept_in(folder)


# What is loaded


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"encoder__norm": "gn", "projector__norm": "none", "predictor__norm": "ln"},
        {f"{part}__norm": "affine" for part in ("encoder", "projector", "predictor")},
        {"predictor__kind": "directpred"},
        {"batch_norm__source": "other_batch"},
        {"method": "simclr"},
        {"loss__label_weight": 0.5},
    ],
)
def test_a_start_equals_what_was_kept_to_the_bit(tmp_path, settings):
    lab = kept_in(tmp_path / NETWORKS, **settings)
    online, target = started(config_of(**settings, init__weights=str(tmp_path / NETWORKS)))
    of_start, of_end = state_of(online), state_of(lab.online)
    for state in (of_start, of_end):  # a classifier is of a run's own labels
        for name in [name for name in state if name.startswith("classifier")]:
            del state[name]
    assert equal(of_start, of_end)
    if target is not None:
        names = target.state_dict()
        assert equal(state_of(target), {name: of_end[name] for name in names})
        assert not any(parameter.requires_grad for parameter in target.parameters())


def test_the_target_is_kept_too(trained):
    folder, lab = trained
    state = torch.load(folder / "state.pt", weights_only=True)
    assert set(state) == {"online", "target"} and equal(state["target"], state_of(lab.target))


def test_affine_is_loaded_and_not_fitted_again():
    assert needs_images(config_of(encoder__norm="affine"))
    assert not needs_images(config_of(encoder__norm="affine", init__weights="/anywhere"))


def test_noise_is_relative_to_the_weights_that_are_loaded(trained):
    folder, lab = trained
    online, target = started(config_of(init__weights=str(folder), init__noise_std=0.1))
    before, after = state_of(lab.online), state_of(online)
    matrices = [name for name, value in before.items() if value.dim() > 1]
    for name in matrices:
        moved = (after[name] - before[name]).square().mean().sqrt()
        size = before[name].square().mean().sqrt()
        assert float(moved / size) == pytest.approx(0.1, rel=0.35)
    assert all(torch.equal(before[name], after[name]) for name in set(before) - set(matrices))
    assert equal(state_of(target), {name: after[name] for name in target.state_dict()})


def test_a_collapsed_start_keeps_the_bias_that_was_trained(trained):
    folder, lab = trained
    online, _ = started(config_of(init__weights=str(folder), init__collapse=1.0))
    assert not online.projector.out.weight.any()
    assert torch.equal(online.projector.out.bias, lab.online.projector.out.bias)


def test_a_collapsed_start_from_a_bias_of_zero_gets_a_direction(trained):
    _, lab = trained
    weights = state_of(lab.online)
    weights["projector.out.bias"].zero_()
    online, _ = started(config_of())
    initialize(online, config_of(init__collapse=0.5).init, 0, weights=weights)
    assert torch.equal(online.projector.out.weight, 0.5 * weights["projector.out.weight"])
    assert float(online.projector.out.bias.detach().norm()) == pytest.approx(1)


def test_an_encoder_that_is_not_trained_any_more_is_the_one_that_was_kept(tmp_path, silent):
    settings = {"encoder__norm": "ln", "projector__hidden": 10, "epochs": 1}
    train(
        config_of(**settings),
        tmp_path / "run",
        Options(device="cpu", threads=1, protocols=(), keep_networks=True),
        silent(),
    )
    folder = tmp_path / "run" / NETWORKS
    config = config_of(method="random", encoder__norm="ln", init__weights=str(folder))
    train(config, tmp_path / "again", ONCE, silent())
    states = [
        torch.load(tmp_path / run / "encoder" / "state.pt", weights_only=True)["online"]
        for run in ("run", "again")
    ]
    assert equal(*states)


def test_a_predictor_that_is_taken_away_leaves_the_rest(trained):
    folder, lab = trained
    config = config_of(predictor__kind="none", init__weights=str(folder))
    check_start(config, 1)
    online, _ = started(config)
    assert equal(state_of(online.encoder), state_of(lab.online.encoder))
    assert equal(state_of(online.projector), state_of(lab.online.projector))


def test_a_resumed_run_ends_as_one_in_one_go(tmp_path, trained):
    config = config_of(epochs=1, init__weights=str(trained[0]), init__noise_std=0.1)
    train(config, tmp_path / "whole", ONCE, Silent())
    assert train(config, tmp_path / "parts", ONCE, Silent(stop_at=2)).outcome == "stopped"
    resumed = Silent()
    train(config, tmp_path / "parts", ONCE, resumed)
    assert resumed.starts == [(2, 4, True)]
    states = [(tmp_path / run / "encoder" / "state.pt").read_bytes() for run in ("whole", "parts")]
    assert states[0] == states[1]


# Which run it is


def identity(**settings):
    config = config_of(**settings)
    return run_id(config, DATA, start_digest(config))


def test_a_run_is_named_by_what_is_loaded_wherever_it_lies(tmp_path, trained, monkeypatch):
    folder, _ = trained
    shutil.copytree(folder, tmp_path / "moved:here")
    kept_in(tmp_path / "other", steps=1)
    monkeypatch.chdir(tmp_path)
    of_folder = identity(init__weights=str(folder))
    assert config_of(init__weights="moved:here").init.weights == str(tmp_path / "moved:here")
    assert identity(init__weights="moved:here") == of_folder
    assert len({of_folder, identity(init__weights="other"), identity()}) == 3


def test_how_weights_are_drawn_has_no_effect_on_those_that_are_loaded(trained):
    path = str(trained[0])
    drawn = {"init__scheme": "torch", "init__scale": 2.0, "init__biases": "torch"}
    assert identity(init__weights=path, **drawn) == identity(init__weights=path)
    assert identity(init__weights=path, init__zero_last_norm=True) == identity(init__weights=path)
    assert identity(init__weights=path, init__noise_std=0.1) != identity(init__weights=path)

    # A classifier is drawn still.
    labelled = {"init__weights": path, "loss__label_weight": 1.0}
    assert identity(**labelled, **drawn) != identity(**labelled)


def test_drawn_weights_leave_no_trace_in_the_settings():
    assert "init.weights" not in canonical(config_of())


# What cannot serve


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"projector__hidden": 13}, "trained with projector.hidden 12, and this run has 13"),
        ({"projector__norm": "none"}, 'trained with projector.norm "bn", and this run has "none"'),
        ({"encoder__norm": "gn"}, 'trained with encoder.norm "bn", and this run has "gn"'),
        ({"encoder__norm_affine": False}, "encoder.norm_affine true, and this run has false"),
        ({"predictor__kind": "directpred"}, 'kind "mlp", and this run has "directpred"'),
    ],
)
def test_another_architecture_is_refused_when_it_is_planned_and_does_not_load(
    trained, settings, text
):
    config = config_of(init__weights=str(trained[0]), **settings)
    with pytest.raises(ConfigError, match=text):
        check_start(config, 1)
    with pytest.raises(ConfigError, match=r"does not fit: (encoder|projector|predictor)\."):
        started(config)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"encoder__stem": "3x3"},
        {"batch_norm__source": "batch"},
        {"encoder__weight_standardization": "biased"},
        {"projector__out_norm": False},
    ],
)
def test_what_loads_is_not_refused_when_it_is_planned(trained, settings):
    config = config_of(init__weights=str(trained[0]), **settings)
    check_start(config, 1)
    started(config)


def test_norms_of_equal_weights_may_stand_for_each_other(tmp_path):
    kept_in(tmp_path / NETWORKS, encoder__norm="ln", projector__norm="affine")
    config = config_of(
        encoder__norm="gn", projector__norm="ln", init__weights=str(tmp_path / NETWORKS)
    )
    check_start(config, 1)
    started(config)


def test_other_channels_are_refused(trained):
    config = config_of(init__weights=str(trained[0]))
    check_start(config, None)
    with pytest.raises(ConfigError, match="images of 1 channels, and those of this run have 3"):
        check_start(config, 3)
    with pytest.raises(ConfigError, match=r"encoder\.stem\.0\.weight is of shape \[16, 1, 3, 3\]"):
        start_networks(config, 3, 10, CPU)


def _without_state(folder):
    (folder / "state.pt").unlink()


def _with_a_flipped_bit(folder):
    content = bytearray((folder / "state.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "state.pt").write_bytes(content)


def _with_half_a_manifest(folder):
    content = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(content[:40])


def _of_an_encoder(folder):
    (folder / "manifest.json").write_text('{"sha256": {"state.pt": "00"}}')


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_without_state, "is damaged: its state is not the one of its manifest"),
        (_with_a_flipped_bit, "is damaged: its state is not the one of its manifest"),
        (_with_half_a_manifest, "is damaged: manifest.json cannot be read"),
        (_of_an_encoder, "holds no whole networks; name the folder networks"),
        (shutil.rmtree, "is no folder; name the folder networks of a run"),
    ],
)
def test_what_is_missing_or_damaged_is_named(tmp_path, trained, change, text):
    folder = shutil.copytree(trained[0], tmp_path / NETWORKS)
    change(folder)
    with pytest.raises(ConfigError, match=text) as refused:
        start_digest(config_of(init__weights=str(folder)))
    assert refused.value.key == "init.weights" and "\n" not in str(refused.value)


def test_a_run_folder_leads_to_its_networks(tmp_path, trained):
    shutil.copytree(trained[0], tmp_path / NETWORKS)
    with pytest.raises(ConfigError, match=f"one level too high; name '{tmp_path}/networks'"):
        start_digest(config_of(init__weights=str(tmp_path)))


def test_a_target_that_is_drawn_is_refused():
    with pytest.raises(ConfigError, match="target.start: 'draw' does not go with init.weights"):
        config_of(init__weights="/anywhere", target__start="draw")


def test_nothing_is_loaded_where_weights_are_drawn(trained):
    _, lab = trained
    assert load_start(lab.online, config_of()) is None


# A sweep

KEEPS = """\
version: 1
name: keeps
base: {preset: digits-tiny, epochs: 1, dataset.limit: 64, batch_size: 16, encoder.norm: ln}
seeds: [0]
baseline: byol
variants: {byol: {}}
keep: networks
"""
CONTEXT = AttemptContext("inline", capture=False, device="cpu", threads=1)


@pytest.fixture
def planned(tmp_path):
    """Plans a spec's text, and returns its runs."""
    root = Root(tmp_path / "root")
    root.create()

    def plan(text):
        file = tmp_path / "spec.yaml"
        file.write_text(text)
        made = make_plan(load_sweep(file), root, Selection(), Queue())
        write_plan(made, root)
        return [root.run(run.run_id) for run in made.runs]

    return plan


def make(run, monkeypatch, rerun=False):
    """Make an attempt without evaluations, and return its last words."""
    monkeypatch.setattr("byol_core.train.run._evaluate", lambda *_: None)
    context = AttemptContext(**{**vars(CONTEXT), "rerun": rerun})
    run_attempt(run.path.parents[1], run.run_id, context, lambda: None)
    return list(run.last_attempt().read_events())[-1]


def test_a_sweep_starts_from_what_another_has_kept(planned, monkeypatch):
    (source,) = planned(KEEPS)
    make(source, monkeypatch)
    folder = source.path / NETWORKS
    assert folder.is_dir() and not (source.path / "checkpoints").exists()

    text = KEEPS.replace("keeps", "starts").replace("encoder.norm: ln", "encoder.norm: ln, WEIGHTS")
    text = text.replace("WEIGHTS", f"init.weights: {folder}").replace("keep: networks\n", "")
    (run,) = planned(text)
    digest = start_digest(run.config())
    assert run.read_description()["canonical"]["init.weights"] == digest
    script = "\n".join(lines(run, recipe(run)))
    assert f"--set init.weights={folder}" in script and digest in script
    assert "reads these settings otherwise" not in script
    assert make(run, monkeypatch)["reason"] == "ok" and not (run.path / NETWORKS).exists()

    # Trained again, the source keeps each result's own; --encoders frees all of them.
    make(source, monkeypatch, rerun=True)
    freed = {item.path for item in find(Root(run.path.parents[1]), Queue(), encoders=True)}
    earlier = source.attempt(1).path / NETWORKS
    assert {folder, earlier} <= freed and earlier.is_dir() and folder.is_dir()


def test_networks_that_changed_since_the_plan_train_nothing(
    planned, trained, monkeypatch, tmp_path
):
    folder = shutil.copytree(trained[0], tmp_path / NETWORKS)
    sizes = "projector.hidden: 12, predictor.hidden: 12"
    (run,) = planned(KEEPS.replace("encoder.norm: ln", f"{sizes}, init.weights: {folder}"))
    shutil.rmtree(folder)
    kept_in(folder, steps=1)
    end = make(run, monkeypatch)
    assert end["state"] == "FAILED" and "holds other networks than when this run" in end["reason"]
    assert not (run.path / "encoder").exists()


def test_the_command_line_names_the_line_and_what_is_wrong(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text(KEEPS.replace("encoder.norm: ln", "init.weights: nowhere"))
    words = ["--root", str(tmp_path / "root"), "launch", str(file), "--dry-run"]
    error = str(CliRunner().invoke(app, words).exception)
    assert "spec.yaml:3: variant 'byol': init.weights: '" in error and "is no folder" in error


def test_the_manuals_variants_start(tmp_path, trained):
    page = (REPO / "docs" / "spec.md").read_text()
    text = re.search(r"```yaml\n(base: .*?init\.weights.*?)```", page, re.DOTALL)[1]
    sizes = ", ".join(f"{key}: {value}" for key, value in SMALL.items())
    text = text.replace("sweep-runs/runs/RUN_ID/networks", f"{trained[0]}, {sizes}")
    (tmp_path / "spec.yaml").write_text(f"version: 1\nname: manual\nseeds: [0]\n{text}")
    variants = expand(load_sweep(tmp_path / "spec.yaml"))
    assert len(variants) == 5
    for variant in variants:
        check_start(variant.config, 1)
        started(variant.config)


def test_a_launch_counts_what_is_done_and_kept_no_networks(planned, monkeypatch, tmp_path):
    (run,) = planned(KEEPS.replace("keep: networks\n", ""))
    make(run, monkeypatch)
    assert not (run.path / NETWORKS).exists()
    file = tmp_path / "spec.yaml"
    file.write_text(KEEPS)
    words = ["--root", str(run.path.parents[1]), "launch", str(file), "--dry-run"]
    printed = CliRunner().invoke(app, words).stdout
    assert "1 completed run without networks: planned with another keep" in printed
