"""Profiles `paper` and `blog` of the specs: they plan, their variants train, and what is missing is
said first.
"""

import pytest
import torch
from conftest import REPO
from typer.testing import CliRunner

from byol_core.config import flatten, resolve
from byol_core.networks.byol import Online
from byol_core.train import Options, train
from orchestrator.cli.main import app
from orchestrator.spec import expand, load_sweep

SPECS = ("norm_ablation", "norm_variants", "init", "lambda", "tau")
OF_BYOL = (
    *SPECS,
    "augmentations",
    "batch_size",
    "beta_temperature",
    "lambda_mu",
    "learning_rate",
    "loss_norm",
    "mlp_depth",
    "negatives",
    "optimal_predictor",
    "projection_dim",
    "target_modes",
    "weight_decay",
)
"""Those whose profile `paper` starts from preset imagenet-r50-300ep."""
OTHERS = (
    "directpred_symmetric",
    "directpred_weight_decay",
    "encoder_norm_long",
    "no_bn_tricks",
    "simsiam_bn",
    "simsiam_predictor",
    "simsiam_stopgrad",
)
SAMPLES = {
    "augmentations": ("byol_baseline", "simclr_crop_only", "byol_symmetric_blur_solarize"),
    "batch_size": ("byol_1024", "simclr_1024"),
    "beta_temperature": ("beta_1_alpha_0.01", "beta_0.1_alpha_10"),
    "lambda_mu": ("optimizer.mu_projector=10.0,optimizer.lambda_predictor=10.0",),
    "learning_rate": ("lr_1",),
    "loss_norm": ("loss.normalize=batch", "loss.normalize=layer", "loss.normalize=none"),
    "mlp_depth": ("projector.depth=1,predictor.depth=3", "projector.depth=3,predictor.depth=1"),
    "negatives": ("none_online_beta_1",),
    "projection_dim": ("projector.out=16,predictor.out=16",),
    "weight_decay": ("optimizer.weight_decay=0.0",),
    "directpred_symmetric": (
        "linear,target.tau_base=0.0,predictor.out_bias=False,predictor.symmetric=True",
        "mlp,target.tau_base=0.996,predictor.out_bias=True,predictor.symmetric=False",
    ),
    "directpred_weight_decay": (
        "predictor,target.tau_base=0.0,predictor.out_bias=False,predictor.symmetric=True",
    ),
}
"""Variants that stand for the others of a large spec in the fast tests; slow tests train them all."""

# The same at a scale of seconds: what differs between the variants stays.
SHRUNK = {
    "dataset.side": 32,
    "dataset.limit": 16,
    "batch_size": 8,
    "epochs": 1,
    "encoder.arch": "tiny",
    "encoder.stem": "3x3_stride2",
    "projector.hidden": 64,
    "predictor.hidden": 64,
    "init.affine_images": 16,
    "loss.queue_size": 32,
    "optimizer.warmup_epochs": 0,
}
ON_PHOTOS = {"dataset.name": "folder", "augment.normalize": "imagenet"}
OPTIMAL = {"projector.out": 4, "predictor.out": 4}  # a batch of 8 must not be fitted exactly


def of_profile(spec, profile, overrides):
    return expand(load_sweep(REPO / "sweeps" / f"{spec}.yaml", profile, overrides))


def of_paper(spec, overrides):
    return of_profile(spec, "paper", overrides)


def small(spec, photos):
    """The variants of a spec as published, at the scale of seconds."""
    profile = "blog" if spec in ("no_bn_tricks", "encoder_norm_long") else "paper"
    overrides = {**SHRUNK, **ON_PHOTOS, "dataset.path": str(photos)}
    if spec == "optimal_predictor":
        overrides |= OPTIMAL
    if profile == "blog":
        groups = {f"{part}.gn_groups": 8 for part in ("encoder", "projector", "predictor")}
        overrides |= {**groups, "schedule_epochs": 0}
    if spec == "simsiam_bn":
        overrides |= {"epochs": 10}  # as long as a row's warm-up
    if spec == "batch_size":
        overrides |= {"batch_size": 256, "dataset.limit": 300}  # in up to 64 parts
    own = {key for variant in of_profile(spec, profile, {}) for key in variant.overrides}
    return of_profile(
        spec, profile, {key: value for key, value in overrides.items() if key not in own}
    )


def trains(variant, folder, silent):
    observer = silent()
    result = train(
        variant.config,
        folder,
        Options(device="cpu", threads=1, log_every=1, protocols=()),
        observer,
    )
    steps = variant.config.epochs * (variant.config.dataset.limit // variant.config.batch_size)
    if not variant.config.trains:
        steps = len(observer.points)
    return result.outcome == "ok" and len(observer.points) == steps


def failures(variants, tmp_path, silent):
    return [
        variant.name for variant in variants if not trains(variant, tmp_path / variant.name, silent)
    ]


IN_EVERY_RUN = ("norm_variants", "target_modes", "batch_size", "simsiam_predictor")


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(spec, marks=() if spec in IN_EVERY_RUN else pytest.mark.slow)
        for spec in [*OF_BYOL, *OTHERS]
    ],
)
def test_variants_train_on_photos(spec, photos, tmp_path, silent):
    variants = small(spec, photos)
    names = SAMPLES.get(spec, [variant.name for variant in variants])
    chosen = [variant for variant in variants if variant.name in names]
    assert len(chosen) == len(names)
    assert not failures(chosen, tmp_path, silent)


@pytest.mark.slow
@pytest.mark.parametrize("spec", SAMPLES)
def test_every_variant_of_a_large_spec_trains_on_photos(spec, photos, tmp_path, silent):
    assert not failures(small(spec, photos), tmp_path, silent)


@pytest.mark.slow
def test_the_papers_network_trains_under_every_norm(photos, tmp_path, silent):
    whole = {
        **SHRUNK,
        "encoder.arch": "resnet50",
        "encoder.stem": "7x7_pool",
        "dataset.path": str(photos),
    }
    whole["init.scheme"] = "torch"  # Haiku's takes seconds to draw at this size
    for variant in of_paper("norm_variants", whole):
        assert variant.config.encoder.arch == "resnet50" and trains(
            variant, tmp_path / variant.name, silent
        )


@pytest.mark.slow
def test_a_step_keeps_as_much_memory_as_the_manual_says():
    network = Online(resolve("imagenet-r50-300ep", {}), 3)
    weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}

    def kept_mb(images):
        kept = {}

        def pack(tensor):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            _, projections = network(torch.rand(2, images, 3, 224, 224))
            network.predictor(projections)
        return sum(size for place, size in kept.items() if place not in weights) / 1e6

    per_view_mb = (kept_mb(3) - kept_mb(2)) / 2
    page = (REPO / "docs" / "spec.md").read_text()
    assert f"{per_view_mb:.0f} MB for each view of each image" in page
    assert f"{2 * 4096 * per_view_mb / 1e6:.1f} TB in float32" in page


@pytest.mark.parametrize("spec", OF_BYOL)
def test_variants_differ_from_the_papers_preset_in_their_axis_alone(spec):
    """SimCLR's and MoCo's rows too have BYOL's learning rate; the longer training of table 2 is the
    paper's own.
    """
    profile = {"target.tau_base"} if spec == "lambda_mu" else set()
    if spec == "norm_variants":
        profile = {"epochs", "optimizer.lr", "optimizer.weight_decay", "target.tau_base"}
    preset = flatten(resolve("imagenet-r50-300ep", {}).model_dump())
    for variant in of_paper(spec, {}):
        config = flatten(variant.config.model_dump())
        of_method = {"predictor.kind", "target.kind"} if config["method"] == "simclr" else set()
        free = {*variant.overrides, *profile, *of_method}
        assert {key for key in preset if config[key] != preset[key]} <= free, variant.name
    assert {variant.config.epochs for variant in of_paper(spec, {})} == {
        1000 if spec == "norm_variants" else 300
    }


def planned(spec, *options):
    """What a dry run of a spec's profile `paper` prints, or the error that it ends with."""
    file = str(REPO / "sweeps" / f"{spec}.yaml")
    words = ["launch", file, "--profile", "paper", "--executor", "local", "--dry-run", *options]
    done = CliRunner().invoke(app, words)
    return " ".join(str(done.exception or done.stdout).split())


@pytest.mark.parametrize("spec", ["norm_variants", "simsiam_stopgrad"])
def test_without_photos_one_error_names_what_is_missing_and_a_way_out(tmp_path, monkeypatch, spec):
    monkeypatch.chdir(tmp_path)
    missing = planned(spec)
    assert "data set 'folder' needs dataset.path: a folder DIR with DIR/train/<class>/*" in missing
    assert "--profile quick" in missing
    assert "has no photos in train" in planned(spec, "--set", "dataset.path=nowhere")
    assert not list(tmp_path.iterdir())


def test_with_photos_the_dry_run_plans_the_papers_table(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--table", "norm", "--set", f"dataset.path={photos}"]
    too_large = planned("norm_ablation", *words)
    assert "batch_size: 4096 is larger than the 300 training images" in too_large
    assert "66 runs" in planned("norm_ablation", *words, "--set", "batch_size=256")
