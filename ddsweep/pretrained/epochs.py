"""The epochs of a training that stores its weights at some of them, and resumes from its last checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Protocol, runtime_checkable

from ddsweep.checkpoints import Slot, State

Progress = Callable[[int, int], None]


@runtime_checkable
class Work(Protocol):
    """A training between two batches.

    Attributes:
        epoch: epochs that are done.
    """

    epoch: int

    def train_epoch(self, slot: Slot) -> None:
        """Train for one epoch; between two of its batches, offer a checkpoint."""

    def store(self) -> None:
        """Put the weights after ``epoch`` epochs into the pool."""

    def checkpoint(self) -> State:
        """Return a checkpoint."""

    def restore(self, state: State, before: int) -> Any:
        """Resume from a checkpoint; return None if it is past ``before``, the first epoch whose weights are missing."""


def run(work: Work, missing: Collection[int], progress: Progress, slot: Slot) -> None:
    """Train until the last of the ``missing`` epochs, and store the weights of each.

    Raises:
        Interrupted: the slot was asked to stop; the state is saved.
    """
    last = max(missing)
    slot.resume(partial(work.restore, before=min(missing)))
    if work.epoch in missing:  # 0: the initial weights
        work.store()
    while work.epoch < last:
        progress(work.epoch, last)
        work.train_epoch(slot)
        if work.epoch in missing:
            work.store()
        if work.epoch < last:
            slot.offer(work.checkpoint)
    slot.save(work.checkpoint())
    progress(last, last)
