"""Trains the first steps of a run and keeps nothing."""

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
    """Train the first steps of a run without a claim, and write no result.

    Returns:
        The outcome, `cut` for a run that would have gone on, and the step.
    """
    from byol_core.train import Options, train

    options = Options(log_every=log_every, max_steps=max_steps, protocols=())
    result = train(config, folder, options, _Shown(show))
    return result.outcome, result.step


@dataclass(frozen=True)
class _Shown:
    """Observes a run: it shows the series and does nothing else."""

    show: Callable[[int, dict[str, float], float], None]

    def started(self, step: int, total_steps: int, exact: bool) -> None:
        """Do nothing."""

    def measured(
        self, step: int, epoch: int, metrics: dict[str, float], images_per_s: float
    ) -> None:
        """Show a point."""
        self.show(step, metrics, images_per_s)

    def before_write(self) -> None:
        """Do nothing: nobody else writes here."""

    def checkpointed(self, step: int) -> None:
        """Do nothing."""

    def stop_reason(self) -> str | None:
        """Return None, so that the run goes on."""
        return None
