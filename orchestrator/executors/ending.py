"""Tells in which state an error leaves a run, and puts its end into words and strict JSON."""

import math
from typing import Any

from orchestrator.provenance.redact import redact
from orchestrator.store.exit_codes import is_of_the_disk
from orchestrator.store.state import State
from orchestrator.text import shortened


def ending_of(error: Exception) -> tuple[State, str | None]:
    """Return the state of a run that ended with this error, and the reason.

    The whole of a long error is in the output of the attempt.
    """
    return _state_after(error), shortened(redact(f"{type(error).__name__}: {error}"))


def _state_after(error: Exception) -> State:
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return State.OOM
    if is_of_the_disk(error):
        return State.LOST  # not its own fault: it goes on by itself, from its last checkpoint
    return State.FAILED


def in_strict_json(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result with non-finite numbers as text: done.json is strict JSON."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        return value

    return {key: clean(value) for key, value in result.items()}
