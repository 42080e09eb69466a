"""Tells what each parameter of a network is for, as its module declares it.

Decay, adaptation and rates go by these roles. A rule by shape would misjudge the gain of a
standardized convolution, (C, 1, 1, 1), and a layer norm over (C, H, W), which are no weights.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from torch import nn

Role = Literal["weight", "bias", "norm", "gain", "fixed"]
"""What a parameter is: fixed ones belong to no optimizer."""

_LAYER: Mapping[str, Role] = {"weight": "weight", "bias": "bias"}
_NORM: Mapping[str, Role] = {"weight": "norm", "bias": "norm"}

_OF_TORCH: Mapping[type[nn.Module], Mapping[str, Role]] = {
    nn.Linear: _LAYER,
    nn.Bilinear: _LAYER,
    nn.Conv1d: _LAYER,
    nn.Conv2d: _LAYER,
    nn.Conv3d: _LAYER,
    nn.Embedding: _LAYER,
    nn.BatchNorm1d: _NORM,
    nn.BatchNorm2d: _NORM,
    nn.BatchNorm3d: _NORM,
    nn.SyncBatchNorm: _NORM,
    nn.InstanceNorm1d: _NORM,
    nn.InstanceNorm2d: _NORM,
    nn.GroupNorm: _NORM,
    nn.LayerNorm: _NORM,
    nn.RMSNorm: _NORM,
    nn.PReLU: {"weight": "bias"},
}
"""PyTorch's own modules; ours, and a user's, have an attribute `roles`."""


class RoleError(ValueError):
    """Says that a parameter has no role, or a module declares one that does not exist."""


def roles_of(network: nn.Module) -> dict[str, Role]:
    """Return parameter name → role, for every parameter of a network.

    A module declares the roles of its own parameters in an attribute `roles`, as
    `roles = {"gain": "gain"}`; what it inherits from a layer of PyTorch's need not be repeated. A
    parameter that two modules share counts once, under its first name.

    Raises:
        RoleError: a parameter has no role; it names the parameter and what to declare.
    """
    known: dict[str, Role] = {}
    for prefix, module in network.named_modules():
        known.update(_roles_within(prefix, module))
    return {name: known[name] for name, _ in network.named_parameters()}


def _roles_within(prefix: str, module: nn.Module) -> Iterator[tuple[str, Role]]:
    """Yield names and roles of the parameters that a module holds itself."""
    declared = _declared(module)
    for name, _ in module.named_parameters(recurse=False):
        whole = f"{prefix}.{name}" if prefix else name
        if name not in declared:
            raise RoleError(
                f"{whole}: {type(module).__name__} does not say what this parameter is; give the "
                f'class roles = {{"{name}": ...}} with one of weight, bias, norm, gain, fixed'
            )
        yield whole, declared[name]


def _declared(module: nn.Module) -> dict[str, Role]:
    """Return what a module declares, over what the layer of PyTorch's that it extends has."""
    roles: dict[str, Role] = {}
    for kind in type(module).__mro__:
        if kind in _OF_TORCH:
            roles.update(_OF_TORCH[kind])
            break

    roles.update(getattr(module, "roles", {}))
    for name, role in roles.items():
        if role not in Role.__args__:  # type: ignore[attr-defined]
            raise RoleError(
                f"{type(module).__name__}.roles: {name!r} is {role!r}; "
                "allowed: weight, bias, norm, gain, fixed"
            )
    return roles
