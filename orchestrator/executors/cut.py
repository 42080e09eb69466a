"""The first steps of a run, without a claim and without a result."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from byol_core.config import TrainConfig


def cut_run(
    config: TrainConfig,
    folder: Path,
    max_steps: int,
    log_every: int,
    show: Callable[[int, dict[str, float], float], None],
) -> tuple[str, int]:
    """Train the first steps of a run, without a claim and without a result.

    Returns:
        The outcome, `cut` for a run that would have gone on, and the step.
    """
    from byol_core.train import Options, train

    result = train(
        config,
        folder,
        Options(log_every=log_every, max_steps=max_steps, protocols=()),
        _Shown(show),
    )
    return result.outcome, result.step


@dataclass(frozen=True)
class _Shown:
    """An observer that shows the series and nothing else."""

    show: Callable[[int, dict[str, float], float], None]

    def started(self, step: int, total_steps: int, exact: bool) -> None:
        """Nothing to say."""

    def measured(
        self, step: int, epoch: int, metrics: dict[str, float], images_per_s: float
    ) -> None:
        """Show a point."""
        self.show(step, metrics, images_per_s)

    def before_write(self) -> None:
        """Nobody else writes here."""

    def checkpointed(self, step: int) -> None:
        """Nothing to say."""

    def stop_reason(self) -> str | None:
        """Go on."""
        return None
