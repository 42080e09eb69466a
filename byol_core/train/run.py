"""One run from config to results: load, resume, train, keep the encoder, evaluate.

Everything goes into one folder: ``checkpoints/`` while it trains, ``encoder/``, ``evaluations/``
and, on request, ``networks/`` at the end. Called again on the same folder, it goes on where the
last call stopped. By hand: ``python -m byol_core``.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from byol_core.allocator import keep_freed_memory
from byol_core.config import PROTOCOLS, TrainConfig, essential
from byol_core.datasets.facts import DataFacts, check_fit
from byol_core.device import limited_threads, pick_device
from byol_core.evaluation.features import NotFiniteError
from byol_core.evaluation.protocols import Buffers, evaluate
from byol_core.files import DamagedFileError, make_folder, read_json, remove_tree, write_json
from byol_core.images.load import load
from byol_core.images.memory import Dataset
from byol_core.images.resident import resident
from byol_core.kept_networks import NETWORKS
from byol_core.precision import check_precision, deterministic
from byol_core.train.checkpoint import Checkpoints
from byol_core.train.compute_path import choose_path
from byol_core.train.encoders import keep_encoders, load_encoders
from byol_core.train.final_networks import keep_networks
from byol_core.train.loop import Loop
from byol_core.train.observer import Observer, Options, Result
from byol_core.train.requests import calibration_requests, start_request
from byol_core.train.start import calibrate, needs_images, start_networks
from byol_core.train.step import Trainer


def train(
    config: TrainConfig, folder: Path, options: Options, observer: Observer, writer: str = "0001"
) -> Result:
    """Train one run to its end, or to where it is asked to stop.

    Args:
        config: what to train.
        folder: the run's own; made where missing.
        options: how to run.
        observer: told of progress.
        writer: names this try in what it writes, where several may write at once.

    Raises:
        DataMissingError: the images are not there.
        DataError: the files hold no images.
        ConfigError: the settings do not fit the images, or the networks that it starts from.
        OSError: the disk is full or fails.
    """
    config = essential(config)
    device = pick_device(options.device)
    check_precision(config.precision, device)
    if device.type == "cpu":
        keep_freed_memory()
    with limited_threads(options.threads), deterministic(device):
        return _train(config, folder, options, observer, writer, device)


def _train(
    config: TrainConfig,
    folder: Path,
    options: Options,
    observer: Observer,
    writer: str,
    device: torch.device,
) -> Result:
    # Images, and the networks that are to see them.
    dataset = resident(load(config.dataset, options.threads), device)
    n = len(dataset.pretrain)
    check_fit(config, DataFacts(n, dataset.channels))
    make_folder(folder)
    views = None
    if needs_images(config):
        (batch,) = dataset.pretrain.read([start_request(config, dataset.pretrain)])
        views = batch.views(device)
    classes = _classes(config, dataset)
    online, target = start_networks(config, dataset.channels, classes, device, views)

    # Training, which goes on from the newest checkpoint; the random encoder has none.
    encoders: dict[str, nn.Module] = {"online": online.encoder}
    if config.trains:
        trainer = Trainer(config, online, target, n // config.batch_size, device)
        checkpoints = Checkpoints(folder / "checkpoints", writer)
        path = choose_path(config, device)
        result = Loop(trainer, path, dataset, checkpoints, options, observer).run()
        if target is not None:
            encoders["target"] = target.encoder
    else:
        observer.started(0, 0, exact=True)
        requests = calibration_requests(config, dataset.pretrain)
        calibrate(online, dataset.pretrain.read(requests), device)
        result = Result("ok", 0)

    # What stays: the encoders, networks to start from, and what the protocols say of encoders.
    if result.outcome == "ok":
        observer.before_write()
        keep_encoders(folder / "encoder", encoders)
        if options.keep_networks:
            keep_networks(folder / NETWORKS, config, dataset.channels, online, target)
        try:
            _evaluate(config, folder, dataset, options, device)
        except NotFiniteError:
            # The last step, or a loss that stayed finite, hid it until now.
            return replace(result, outcome="diverged")
    return result


def _classes(config: TrainConfig, dataset: Dataset) -> int:
    """Return how many classes a classifier of labels needs; 0 where none is trained."""
    if not config.loss.label_weight:
        return 0
    splits = (dataset.pretrain, dataset.train)
    return 1 + max(int(split.labels.max()) for split in splits)


def _evaluate(
    config: TrainConfig, folder: Path, dataset: Dataset, options: Options, device: torch.device
) -> None:
    """Judge the encoders that were kept, as they lie on the disk, by what has not judged them yet."""
    results = folder / "evaluations"
    missing: dict[str, Path] = {}
    for protocol in options.protocols:
        file = results / f"{protocol}-v{PROTOCOLS[protocol]}.json"
        if not _is_result_of(protocol, file):
            missing[protocol] = file
    if not missing:
        return

    make_folder(results)
    encoders = load_encoders(folder / "encoder", config, dataset.channels, device)
    buffers: Buffers = "trained" if config.trains else "calibrated"
    for protocol, file in missing.items():
        result = evaluate(protocol, encoders, dataset, config, buffers)
        if file.is_dir():
            remove_tree(file)  # no file takes the place of a folder
        write_json(file, result)


def _is_result_of(protocol: str, file: Path) -> bool:
    """Tell whether a file holds the result of a protocol of today; a damaged one is made again."""
    try:
        result = read_json(file)
    except DamagedFileError:
        return False
    if not isinstance(result, dict):
        return False
    made_by = result.get("protocol"), result.get("version")
    return made_by == (protocol, PROTOCOLS[protocol])
