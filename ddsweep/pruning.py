"""Looks at a trial on its way: the accuracy of the set as it is, told to whoever may end the trial there.

A look changes nothing: it draws from a generator of its own and leaves images and momentum alone, so that a trial
that was looked at ends in the same bits as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ddsweep import files
from ddsweep.checkpoints import Slot, State

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


class Pruned(Exception):
    """The trial was ended on its way: others are better. Its state is saved, should it be wanted after all."""

    def __init__(self, step: int, accuracy: float) -> None:
        super().__init__(f"pruned at step {step} with accuracy {100 * accuracy:.1f} %")
        self.step, self.accuracy = step, accuracy


@dataclass(frozen=True)
class Looks:
    """When a trial is looked at, and who is told.

    Attributes:
        steps: of the distillation, after which it is.
        tell: is told step and accuracy, in the order of the steps; False ends the trial. One that goes on from a
            checkpoint tells again what it had told before that.
    """

    steps: tuple[int, ...]
    tell: Callable[[int, float], bool]


class WatchedSlot(Slot):
    """The slot of a distillation that is looked at between its iterations.

    Args:
        inner: where its checkpoints are kept.
        looks: when, and who is told.
        measure: the accuracy of images after a step.
        record: a file for what was found, so that it need not be found again.
    """

    def __init__(self, inner: Slot, looks: Looks, measure: Callable[[Tensor, int], float], record: Path) -> None:
        self._inner, self._tell, self._measure, self._record = inner, looks.tell, measure, record
        self._left = sorted(set(looks.steps))

    def resume(self, restore: Callable[[State], T | None]) -> T | None:
        """Go on; what was found up to there is told again. Raises Pruned."""
        reached = 0

        def noted(state: State) -> T | None:
            nonlocal reached
            found = restore(state)
            reached = int(state.facts["step"])
            return found

        found = self._inner.resume(noted)
        known = self._known()
        for step in [step for step in self._left if found is not None and step <= reached]:
            if step in known:
                self._judge(step, known[step])
        return found

    def offer(self, state: Callable[[], State]) -> None:
        """A boundary; if it is time for a look, the look comes first, so that no checkpoint is ahead of it."""
        if self._left:
            now = state()
            if not now.facts["inside"] and now.facts["step"] >= self._left[0]:
                self._look(now)
        self._inner.offer(state)

    def _look(self, now: State) -> None:
        step = self._left[0]
        accuracy = self._measure(now.tensors["images"].detach().clone(), step)
        files.write_json(self._record, {**{str(k): v for k, v in self._known().items()}, str(step): accuracy})
        try:
            self._judge(step, accuracy)
        except Pruned:
            self._inner.save(now)
            raise

    def _judge(self, step: int, accuracy: float) -> None:
        self._left = [later for later in self._left if later > step]
        if not self._tell(step, accuracy):
            raise Pruned(step, accuracy)

    def _known(self) -> dict[int, float]:
        if not self._record.is_file():
            return {}
        return {int(step): float(accuracy) for step, accuracy in files.read_json(self._record).items()}

    def save(self, state: State) -> None:
        """See ``Slot``."""
        self._inner.save(state)

    def trim(self) -> None:
        """See ``Slot``."""
        self._inner.trim()
