"""Sorts a network's parameters into groups, makes the optimizer over them, and sets its rates.

A group is what a stage of the network has of weights, or of the rest. It says what decays, what
adapts, and at which multiple of the learning rate.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Literal

import torch
from torch import Tensor, nn

from byol_core.config import TrainConfig
from byol_core.config.architectures import ARCHS
from byol_core.config.network_config import EncoderConfig
from byol_core.config.objective_config import OptimizerConfig
from byol_core.networks.byol import Online
from byol_core.networks.roles import roles_of
from byol_core.optim.lars import LARS
from byol_core.optim.sgd import SGD

Part = Literal["early", "late", "projector", "predictor", "classifier"]

HEADS = ("projector", "predictor", "classifier")

_LARS_PARTS: dict[str, tuple[Part, ...]] = {
    "all": ("early", "late", "projector", "predictor", "classifier"),
    "network": ("early", "late", "projector", "predictor", "classifier"),
    "encoder": ("early", "late"),
    "heads": ("projector", "predictor", "classifier"),
    "early": ("early",),
}
"""`optimizer.lars_scope` → the parts whose tensors LARS adapts."""


def make_optimizer(
    network: Online, config: TrainConfig, device: torch.device
) -> torch.optim.Optimizer:
    """Return the optimizer over all parameters of a network that are trained.

    What is a weight goes by the role that its module declares. Rates are scalars on the device,
    which `set_rates` writes and a step reads there; a loaded state is copied into them.

    Args:
        network: on the device.
        config: of the run.
        device: where the rates lie.
    """
    settings = config.optimizer
    groups = _groups(network, config, device)
    optimizer: torch.optim.Optimizer
    if settings.name == "sgd":
        optimizer = SGD(groups, settings.momentum)
    elif settings.name == "lars":
        is_common = settings.lars_scope == "network"
        optimizer = LARS(
            groups, settings.momentum, settings.trust_coefficient, settings.lars_form, is_common
        )
    else:
        optimizer = _adamw(groups, settings, device)
    _keep_settings(optimizer)
    return optimizer


def set_rates(optimizer: torch.optim.Optimizer, rate: float, constant: float) -> None:
    """Write the learning rates of a step to the device.

    Args:
        optimizer: of `make_optimizer`.
        rate: what the schedule says of the step.
        constant: the rate of groups that follow no schedule.
    """
    # Groups with one factor and schedule share one tensor, which is written once.
    distinct = {id(group["lr"]): group for group in optimizer.param_groups}
    for group in distinct.values():
        base = constant if group["lr_schedule"] == "constant" else rate
        group["lr"].fill_(base * group["lr_factor"])


def rate_of(optimizer: torch.optim.Optimizer, stage: str) -> Tensor | None:
    """Return the learning rate of a stage as it lies on the device; None: nothing trains there."""
    rates = (group["lr"] for group in optimizer.param_groups if group["stage"] == stage)
    return next(rates, None)


def parameters_of(optimizer: torch.optim.Optimizer, stage: str) -> list[Tensor]:
    """Return the parameters of a stage that are trained."""
    groups = [group for group in optimizer.param_groups if group["stage"] == stage]
    return [parameter for group in groups for parameter in group["params"]]


def local_rates(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the mean of LARS's ratios over each stage's weights at the newest step, on the device.

    They are the blog's "local learning rates" (its appendix D), before the learning rate itself.
    Another optimizer has none.
    """
    if not isinstance(optimizer, LARS):
        return {}
    stages = (group["stage"] for group in optimizer.param_groups)
    ratios = optimizer.newest_ratios
    return {stage: ratios[stage].mean() for stage in stages if stage in ratios}


def stage_of(name: str, config: EncoderConfig) -> str:
    """Return which stage a parameter is of: stem, stage1 and on, projector, predictor, classifier.

    Args:
        name: of the parameter in the online network, e.g. `encoder.blocks.3.conv1.weight`.
        config: of the encoder.
    """
    part, *path = name.split(".")
    if part in HEADS:
        return part
    if path[0] == "stem":
        return "stem"

    # Blocks are numbered over all stages.
    block = int(path[1])
    ends = accumulate(_block_counts(config))
    return f"stage{sum(end <= block for end in ends) + 1}"


def _block_counts(config: EncoderConfig) -> tuple[int, ...]:
    counts = ARCHS[config.arch].blocks
    if config.arch == "tiny":
        return (config.tiny_blocks,) * len(counts)
    return counts


def _groups(network: Online, config: TrainConfig, device: torch.device) -> list[dict[str, Any]]:
    """Return a group of each stage's weights and one of the rest of it, from the stem on."""
    rates: dict[tuple[float, str], Tensor] = {}
    groups = []
    for stage, is_weight, parameters in _sorted(network, config.encoder):
        part = _part_of(stage)
        factor = _rate_factor(part, config.optimizer)
        schedule = _schedule(part, config.optimizer)
        rate = rates.setdefault((factor, schedule), torch.zeros((), device=device))
        groups.append(
            {
                "params": parameters,
                "name": stage if is_weight else f"{stage} rest",
                "stage": stage,
                "lr": rate,
                "lr_factor": factor,
                "lr_schedule": schedule,
                "weight_decay": _weight_decay(part, is_weight, config.optimizer),
                "adapt": _adapts(part, is_weight, config.optimizer),
            }
        )
    return groups


def _sorted(
    network: Online, config: EncoderConfig
) -> Iterator[tuple[str, bool, list[nn.Parameter]]]:
    """Yield each stage's weights, then its biases, gains and parameters of norms."""
    roles = roles_of(network)
    sorted_: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if roles[name] != "fixed":
            key = (stage_of(name, config), roles[name] == "weight")
            sorted_.setdefault(key, []).append(parameter)
    for (stage, is_weight), parameters in sorted_.items():
        yield stage, is_weight, parameters


def _part_of(stage: str) -> Part:
    """Return the part of the network that settings name, of which a stage is one."""
    match stage:
        case "projector" | "predictor" | "classifier":
            return stage
        case "stem" | "stage1" | "stage2":
            return "early"
    return "late"


def _rate_factor(part: Part, config: OptimizerConfig) -> float:
    """Return λ of the predictor, μ of the projector, the encoder's early factor, else 1."""
    factors = {
        "early": config.early_factor,
        "projector": config.mu_projector,
        "predictor": config.lambda_predictor,
    }
    return factors.get(part, 1.0)


def _schedule(part: Part, config: OptimizerConfig) -> str:
    return config.predictor_schedule if part == "predictor" else "same"


def _weight_decay(part: Part, is_weight: bool, config: OptimizerConfig) -> float:
    """Return the decay of a part's weights, or of the rest where that decays at all."""
    if not is_weight and not config.decay_bias_and_norm:
        return 0.0
    factors = {
        "early": config.decay_encoder,
        "late": config.decay_encoder,
        "projector": config.decay_projector,
        "predictor": config.decay_predictor,
    }
    return config.weight_decay * factors.get(part, 1.0)


def _adapts(part: Part, is_weight: bool, config: OptimizerConfig) -> bool:
    """Tell whether LARS adapts a part's weights, or the rest of it."""
    is_in_scope = part in _LARS_PARTS[config.lars_scope]
    return is_in_scope and (is_weight or config.adapt_bias_and_norm)


def _adamw(
    groups: list[dict[str, Any]], config: OptimizerConfig, device: torch.device
) -> torch.optim.AdamW:
    """Return PyTorch's AdamW in its fused form, which reads the rate on the device everywhere."""
    betas = (config.momentum, config.beta2)
    on_gpu = device.type == "cuda"
    optimizer = torch.optim.AdamW(groups, config.lr, betas, fused=True, capturable=on_gpu)

    # It would warn once that it could be captured in a graph and is not; fused, that costs nothing.
    optimizer._warned_capturable_if_run_uncaptured = True
    return optimizer


def _keep_settings(optimizer: torch.optim.Optimizer) -> None:
    """Have a state that is loaded change no setting, and no place in which a rate lies.

    Settings are the config's; a captured step reads the rates where they lay when it was captured.
    """
    settings = [dict(group) for group in optimizer.param_groups]

    def restore(loaded: torch.optim.Optimizer) -> None:
        for group, own in zip(loaded.param_groups, settings, strict=True):
            own["lr"].copy_(group["lr"])
            group.update(own)

    optimizer.register_load_state_dict_post_hook(restore)
