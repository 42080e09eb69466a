"""Defines how a run speaks to its caller: how it is to run, what happens, how it ended."""

from dataclasses import dataclass, field
from typing import Protocol

from byol_core.config import PROTOCOLS


@dataclass(frozen=True)
class Options:
    """Says how to run, as opposed to what: nothing here changes a result.

    Attributes:
        device: "cpu", "cuda", or "auto" for a GPU where there is one.
        threads: CPU threads of torch; 0 leaves torch's own choice.
        log_every: steps between two points of the metric series.
        checkpoint_every_s: seconds between two checkpoints.
        protocols: evaluations at the end.
        max_steps: end after this many steps, as `cut`: a try, never a result; 0 for no limit.
        keep_networks: keep the whole networks too, so that another run can start from them.
    """

    device: str = "auto"
    threads: int = 0
    log_every: int = 10
    checkpoint_every_s: float = 60.0
    protocols: tuple[str, ...] = tuple(PROTOCOLS)
    max_steps: int = 0
    keep_networks: bool = False


class Observer(Protocol):
    """Is told what happens, and may ask the run to stop."""

    def started(self, step: int, total_steps: int, exact: bool) -> None:
        """Hear that training starts or goes on at `step`.

        `exact` is false where a resumed run may differ in the last bits.
        """

    def measured(
        self, step: int, epoch: int, metrics: dict[str, float], images_per_s: float
    ) -> None:
        """Hear a point of the metric series."""

    def before_write(self) -> None:
        """Hear that something is about to be published; raise to prevent it.

        A thread that saves a checkpoint calls this too, while training goes on.
        """

    def checkpointed(self, step: int) -> None:
        """Hear that a checkpoint is on the disk."""

    def stop_reason(self) -> str | None:
        """Return why to stop now; None to go on."""


@dataclass(frozen=True)
class Result:
    """Says how a run ended.

    Attributes:
        outcome: `ok`, `diverged` (the loss was not finite, at `step`), `stopped` (asked to, before
            `step`) or `cut` (at `max_steps`).
        step: the next step, had it gone on.
        initial: signs of collapse before the first update.
        final: mean loss and signs of collapse over the last epoch.
        reason: for `stopped`, why.
    """

    outcome: str
    step: int
    initial: dict[str, float] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)
    reason: str | None = None
