"""One run from config to results: load, resume, train, keep the encoder, evaluate.

Everything goes into one folder: ``checkpoints/`` while it trains, ``encoder/`` and ``evaluations/``
at the end. Called again on the same folder, it goes on where the last call stopped. By hand:
``python -m byol_core``.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from byol_core.config import PROTOCOLS, TrainConfig
from byol_core.datasets.facts import DataFacts, check_fit
from byol_core.evaluation.features import NotFiniteError
from byol_core.evaluation.protocols import evaluate
from byol_core.files import DamagedFileError, make_folder, read_json, write_json
from byol_core.images.load import load
from byol_core.images.memory import Dataset
from byol_core.networks.encoder import Encoder
from byol_core.train.checkpoint import Checkpoints, load_state, save_state
from byol_core.train.device import limited_threads, pick_device
from byol_core.train.loop import Loop
from byol_core.train.observer import Observer, Options, Result
from byol_core.train.requests import affine_request, calibration_requests
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
        ConfigError: the settings do not fit the images.
        OSError: the disk is full or fails.
    """
    device = pick_device(options.device)
    with limited_threads(options.threads):
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
    dataset = load(config.dataset, options.threads)
    n = len(dataset.pretrain)
    check_fit(config, DataFacts(n, dataset.channels))
    make_folder(folder)
    trainer = Trainer(config, dataset.channels, n // config.batch_size, device)
    if "affine" in (config.encoder.norm, config.projector.norm, config.predictor.norm):
        (batch,) = dataset.pretrain.read([affine_request(config, n)])
        trainer.fit_affine(batch)

    # Training, which goes on from the newest checkpoint; the random encoder has none.
    if trainer.objective is None:
        observer.started(0, 0, exact=True)
        trainer.calibrate(dataset.pretrain.read(calibration_requests(config, n)))
        result = Result("ok", 0)
    else:
        checkpoints = Checkpoints(folder / "checkpoints", writer)
        result = Loop(trainer, dataset, checkpoints, options, observer).run()

    # What stays: the encoders, and what the protocols say of them.
    if result.outcome == "ok":
        observer.before_write()
        _keep_encoders(trainer, folder / "encoder")
        try:
            for protocol in options.protocols:
                _evaluate_once(
                    protocol, _encoders(trainer), dataset, config, folder / "evaluations"
                )
        except NotFiniteError:
            # The last step, or a loss that stayed finite, hid it until now.
            return replace(result, outcome="diverged")
    return result


def _encoders(trainer: Trainer) -> dict[str, Encoder]:
    """Return the encoders that a run has trained or, as a random encoder, judges as they are."""
    encoders = {"online": trainer.online.encoder}
    if trainer.objective is None or trainer.objective.has_target:
        encoders["target"] = trainer.target.encoder
    return encoders


def _keep_encoders(trainer: Trainer, path: Path) -> None:
    if load_state(path) is None:
        states = {name: encoder.state_dict() for name, encoder in _encoders(trainer).items()}
        save_state(path, states, {})


def _evaluate_once(
    protocol: str, encoders: dict[str, Encoder], dataset: Dataset, config: TrainConfig, folder: Path
) -> None:
    file = folder / f"{protocol}-v{PROTOCOLS[protocol]}.json"
    if not _is_result_of(protocol, file):
        modules: dict[str, nn.Module] = dict(encoders)
        make_folder(folder)
        write_json(file, evaluate(protocol, modules, dataset, config.augment))


def _is_result_of(protocol: str, file: Path) -> bool:
    """Tell whether a file holds the result of a protocol; a damaged one is made again."""
    try:
        result = read_json(file)
    except DamagedFileError:
        return False
    return isinstance(result, dict) and result.get("protocol") == protocol
