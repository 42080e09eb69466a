"""Writes checkpoints while training goes on.

The state is copied to the host's memory, which later steps do not change, and a thread brings the
copy to the disk. At most one checkpoint is under way: the next one waits for it.
"""

import copy
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any

from torch import Tensor

from byol_core.train.checkpoint import Checkpoints
from byol_core.train.observer import Observer


class BackgroundSaves:
    """Saves checkpoints in a thread, while entered; on leaving, the last one has ended.

    Args:
        checkpoints: where they are kept.
        observer: asked by the thread directly before a checkpoint is published, and told by the
            caller's own thread once it is on the disk.
        numerics: kept with each checkpoint.
    """

    def __init__(
        self, checkpoints: Checkpoints, observer: Observer, numerics: dict[str, Any]
    ) -> None:
        self._checkpoints = checkpoints
        self._observer = observer
        self._numerics = numerics
        self._step = 0
        self._under_way: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")

    def start(self, step: int, state: dict[str, Any]) -> None:
        """Copy the state before `step`, and begin to save the copy.

        Raises:
            Exception: what `finish` raises, of the checkpoint before.
        """
        self.finish()
        self._step = step
        self._under_way = self._thread.submit(
            self._checkpoints.save,
            step,
            copy_to_host(state),
            self._numerics,
            self._observer.before_write,
        )

    def look(self) -> None:
        """Tell the observer of a checkpoint that has ended; it raises what `finish` raises."""
        if self._under_way is not None and self._under_way.done():
            self.finish()

    def finish(self) -> None:
        """Wait until the checkpoint that is under way has ended.

        Raises:
            OSError: the disk is full or fails; the checkpoints before are whole.
            Exception: what the observer raised to prevent it.
        """
        if self._under_way is None:
            return
        ended = self._under_way
        self._under_way = None
        ended.result()
        self._observer.checkpointed(self._step)

    def __enter__(self) -> "BackgroundSaves":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        with self._thread:
            if error is None:
                self.finish()
                return

            # What ended the training is the error to tell; a checkpoint that was made still counts.
            with suppress(Exception):
                self.finish()


def copy_to_host(value: Any) -> Any:
    """Return a copy of a state on the CPU, which shares no memory with it."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if type(value) in (list, tuple):
        return type(value)(copy_to_host(item) for item in value)
    if not isinstance(value, dict):
        return copy.deepcopy(value)  # what a part of the user's own keeps may change, too
    copied = copy.copy(value)  # of its own type, with the versions that a network keeps in it
    for key, item in value.items():
        copied[key] = copy_to_host(item)
    return copied
