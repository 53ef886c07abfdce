"""Slots that keep nothing, but tell a ``Watch`` about the boundaries of a loop."""

from __future__ import annotations

from collections.abc import Callable

from ddsweep.checkpoints import Interrupted, Slot, State
from ddsweep.distill.state import Snapshot
from ddsweep.distill.synthetic import Synthetic
from ddsweep.estimate.timing import Watch


class Boundaries(Slot):
    """Reports the boundaries of a loop to a ``Watch``, and ends the loop once enough was measured.

    Attributes:
        synthetic: the synthetic set at the end; None before.
    """

    synthetic: Synthetic | None = None

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def offer(self, state: Callable[[], State]) -> None:
        """Record a boundary. Raises Interrupted once enough was measured."""
        if self._watch.tick():
            self._look(state())
            raise Interrupted

    def save(self, state: State) -> None:
        """Record the end of the loop, its last boundary."""
        self._watch.tick()
        self._watch.flush()
        self._look(state)

    def _look(self, state: State) -> None:
        if isinstance(state, Snapshot):
            self.synthetic = state.decode()


class PassBoundaries(Boundaries):
    """``Boundaries`` for a network of an evaluation, which has no images to keep."""

    def resume(self, restore: Callable[[State], object]) -> None:
        """Start the clock: the network is built, and its first epoch begins."""
        self._watch.start()

    def _look(self, state: State) -> None:
        pass
