"""Draws and applies an augmentation of the user's own, and holds it to what every operation keeps.

The class is named by `augment.extra`. It draws from a stream of its own, so that it moves no draw
of another operation, and is applied as a function of tensors.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from byol_core.plugins import PlugInError, build_part, call_part, load_part

DRAW = "extra"
"""Name of the draws, and of their stream; of several it is followed by a dot and the user's name."""

_NEEDS = "draw(rng, n, shape, view) and apply(images, draws)"

OwnDraws = Tensor | Mapping[str, Tensor]


class Operation(Protocol):
    """Is what a class of the user's own must be; it is made without arguments."""

    def draw(
        self, rng: np.random.Generator, n: int, shape: tuple[int, int, int], view: int
    ) -> OwnDraws:
        """Draw what is random in a view of n images.

        Args:
            rng: from which alone numbers may come.
            n: images.
            shape: channels, height and width of an image.
            view: 1 or 2.

        Returns:
            A tensor (n, …) or several by name, on the CPU, of the same shapes at each call.
        """

    def apply(self, images: Tensor, draws: OwnDraws) -> Tensor:
        """Return the images (n, C, H, W) as changed by their draws, each by its own alone."""


def draw_extra(
    name: str, rng: np.random.Generator, n: int, shape: tuple[int, int, int], view: int
) -> dict[str, Tensor]:
    """Return the draws of a user's operation, as entries of a view's draws.

    Args:
        name: of the class, `package.module:Class`.
        rng: as in `Operation.draw`, and so are the others.
        n: images.
        shape: of an image.
        view: 1 or 2.

    Raises:
        PlugInError: there is no such class, or what it draws is not one row for each image.
    """
    drawn = _called(name, "draw", rng, n, shape, view)
    entries = {DRAW: drawn}
    if isinstance(drawn, Mapping):
        entries = {f"{DRAW}.{key}": draw for key, draw in drawn.items()}
    for draw in entries.values():
        if not isinstance(draw, Tensor) or draw.shape[:1] != (n,) or draw.device.type != "cpu":
            raise PlugInError(
                f"{name}: draw gives {_form(draw)}; it must give a tensor on the CPU with a row "
                f"for each of the {n} images, or a dictionary of such"
            )
    return entries


def apply_extra(name: str, images: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
    """Return images as a user's operation changes them.

    Args:
        name: of the class.
        images: (n, C, H, W), in [0, 1].
        draws: of these images, those of other operations among them.

    Raises:
        PlugInError: it gives something else than as many images of the same kind.
    """
    own: OwnDraws
    if DRAW in draws:
        own = draws[DRAW]
    else:
        prefix = f"{DRAW}."
        own = {k.removeprefix(prefix): draw for k, draw in draws.items() if k.startswith(prefix)}

    # All that is compared is known on the host: nothing here waits for a device.
    version = images._version
    changed = _called(name, "apply", images, own)
    if images._version != version:
        raise PlugInError(
            f"{name}: apply writes into its images, which the other view is made of too; "
            "it must return new ones"
        )
    if not isinstance(changed, Tensor) or _kind(changed) != _kind(images):
        raise PlugInError(
            f"{name}: apply gives {_form(changed)} for {_form(images)}; shape, type and device "
            "must stay the same"
        )
    return changed


def _called(name: str, method: str, *arguments: Any) -> Any:
    """Return what a method of the user's class gives.

    Raises:
        PlugInError: the class cannot be loaded or made, has no such method, or the method fails.
    """
    part: Any = load_part(name)
    operation = _made(name, part)
    return call_part(name, operation, method, *arguments, needs=_NEEDS)


@lru_cache(maxsize=8)
def _made(name: str, part: Any) -> Any:
    """Return the object of a class, made once; a module that is imported anew has a new class."""
    return build_part(name, object)


def _kind(images: Tensor) -> tuple[Any, ...]:
    return images.shape, images.dtype, images.device


def _form(value: Any) -> str:
    """Return what a value is, in words."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)} on {value.device.type}"
