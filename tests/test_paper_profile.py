"""Profile `paper` of the specs: it plans, every variant of it trains, and what is missing is said
first.
"""

import pytest
import torch
from conftest import REPO

from byol_core.config import resolve
from byol_core.networks.byol import Online
from byol_core.train import Options, train
from orchestrator.spec import expand, load_sweep

SPECS = ("norm_ablation", "norm_variants", "init", "lambda", "tau")
PLACES = ("encoder", "projector", "predictor")

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
    "contrastive.queue_size": 32,
    "optimizer.warmup_epochs": 0,
}


def of_paper(spec, overrides):
    return expand(load_sweep(REPO / "sweeps" / f"{spec}.yaml", "paper", overrides))


def trains(variant, folder, silent):
    observer = silent()
    result = train(
        variant.config,
        folder,
        Options(device="cpu", threads=1, log_every=1, protocols=()),
        observer,
    )
    return result.outcome == "ok" and (
        variant.config.method == "random" or len(observer.points) == 2
    )


@pytest.mark.parametrize("spec", SPECS)
def test_every_variant_trains_on_photos(spec, photos, tmp_path, silent):
    variants = of_paper(spec, {**SHRUNK, "dataset.path": str(photos)})
    failed = [
        variant.name for variant in variants if not trains(variant, tmp_path / variant.name, silent)
    ]
    assert not failed


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


def test_a_step_keeps_as_much_memory_as_the_manual_says():
    network = Online(resolve("imagenet-r50-300ep", {}), 3)
    weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}

    def kept_mb(images):
        kept = {}

        def pack(tensor):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            network.predictor(network.project(torch.rand(images, 3, 224, 224)))
        return sum(size for place, size in kept.items() if place not in weights) / 1e6

    per_view_mb = (kept_mb(4) - kept_mb(2)) / 2
    page = (REPO / "docs" / "spec.md").read_text()
    assert f"{per_view_mb:.0f} MB for each view of each image" in page
    assert f"{2 * 4096 * per_view_mb / 1e6:.1f} TB in float32" in page


@pytest.mark.parametrize("spec", SPECS)
def test_variants_differ_from_the_papers_preset_in_their_axis_alone(spec):
    """SimCLR's and MoCo's rows too have BYOL's learning rate; the longer training of table 2 is the
    paper's own.
    """
    for variant in of_paper(spec, {}):
        config = variant.config
        longer = spec == "norm_variants"
        assert (config.dataset.name, config.dataset.side, config.batch_size) == (
            "folder",
            224,
            4096,
        )
        assert (config.epochs, config.optimizer.lr) == ((1000, 3.2) if longer else (300, 4.8))
        assert longer or config.optimizer == resolve("imagenet-r50-300ep", {}).optimizer.model_copy(
            update={"lambda_predictor": config.optimizer.lambda_predictor}
        )


@pytest.mark.parametrize("spec", SPECS)
def test_without_photos_one_error_names_what_is_missing_and_a_way_out(sweep, tmp_path, spec):
    file = REPO / "sweeps" / f"{spec}.yaml"
    for options, text in (
        ([], "data set 'folder' needs dataset.path: a folder DIR with DIR/train/<class>/*"),
        (["--set", "dataset.path=nowhere"], "has no photos in train"),
    ):
        done = sweep("launch", file, "--profile", "paper", "--dry-run", *options, check=2)
        assert done.stderr.count("error:") == 1 and text in " ".join(done.stderr.split())
        assert "Nothing was submitted" in " ".join(done.stderr.split())
    assert "--profile quick" in " ".join(
        sweep("launch", file, "--profile", "paper", "--dry-run").stderr.split()
    )
    assert not (tmp_path / "sweep-runs").exists()


def test_with_photos_the_dry_run_plans_the_papers_table(sweep, photos):
    file = REPO / "sweeps" / "norm_ablation.yaml"
    words = [
        "launch",
        file,
        "--profile",
        "paper",
        "--table",
        "norm",
        "--set",
        f"dataset.path={photos}",
        "--dry-run",
    ]
    assert (
        "batch_size: 4096 is larger than the 300 training images" in sweep(*words, check=2).stderr
    )
    assert "66 runs" in sweep(*words, "--set", "batch_size=256", check=0).stdout
