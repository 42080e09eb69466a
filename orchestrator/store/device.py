"""Tells what an attempt computes on, as it was and not as it was asked for."""

from collections.abc import Mapping
from typing import Any


def device_used(origin: Mapping[str, Any] | None, claim: Mapping[str, Any] | None) -> str | None:
    """Return `cpu` or `cuda`; None while that is not known.

    Args:
        origin: what the attempt recorded when it started; None before that.
        claim: of the attempt. Older versions recorded there alone what was asked for, and an
            attempt that has started uses what it asked for by name.
    """
    if origin is None:
        return None
    compute = origin.get("compute")
    if compute is not None:
        return str(compute["device"])
    asked_for = claim["job"]["device"] if claim is not None else "auto"
    if asked_for == "auto":
        return None
    return str(asked_for).partition(":")[0]
