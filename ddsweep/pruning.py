"""Pruning: intermediate evaluations of a distillation, reported to a pruner that may end the trial there.

An intermediate evaluation changes nothing: it draws from a generator of its own and leaves images and momentum alone,
so that a trial that was evaluated in between ends in the same bits as one that was not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ddsweep import checked_files
from ddsweep.checkpoints import Slot, State
from ddsweep.distill.state import Snapshot
from ddsweep.errors import Damaged
from ddsweep.percent import percent

if TYPE_CHECKING:
    from ddsweep.distill.synthetic import Synthetic

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Pruned(Exception):
    """The trial was ended early because others are better. Its state is saved in case it is resumed after all."""

    def __init__(self, step: int, accuracy: float) -> None:
        super().__init__(f"pruned at step {step} with accuracy {percent(accuracy)} %")
        self.step, self.accuracy = step, accuracy


@dataclass(frozen=True)
class Pruning:
    """When the synthetic set is evaluated during the distillation, and who decides whether the trial continues.

    Attributes:
        steps: the distillation steps after which it is evaluated.
        report: called with step and accuracy, in the order of the steps; False ends the trial. A trial that resumes
            from a checkpoint reports the earlier accuracies again.
    """

    steps: tuple[int, ...]
    report: Callable[[int, float], bool]


class PruningSlot(Slot):
    """The checkpoints of a distillation that is evaluated between its iterations.

    Args:
        inner: where the checkpoints are kept.
        pruning: when it is evaluated, and who decides.
        measure: the accuracy of a synthetic set after a step.
        record: a file of the accuracies, so that a resumed trial need not measure them again.
    """

    def __init__(self, inner: Slot, pruning: Pruning, measure: Callable[[Synthetic, int], float], record: Path) -> None:
        self._inner, self._report, self._measure, self._record = inner, pruning.report, measure, record
        self._steps = sorted(set(pruning.steps))

    def resume(self, restore: Callable[[State], T | None]) -> T | None:
        """Resume, and report the accuracies up to there again; not if their record is damaged. Raises Pruned."""
        reached = 0
        try:
            known = self._known()
        except Damaged as reason:
            logger.warning("%s; the distillation starts again", reason)
            self._record.unlink()
            return None

        def restore_and_note(state: State) -> T | None:
            nonlocal reached
            restored = restore(state)
            reached = int(state.facts["step"])
            return restored

        restored = self._inner.resume(restore_and_note)
        for step in [step for step in self._steps if restored is not None and step <= reached]:
            if step in known:
                self._decide(step, known[step])
        return restored

    def offer(self, state: Callable[[], State]) -> None:
        """Evaluate if it is time, before the checkpoint is saved, so that no checkpoint is ahead of its evaluation."""
        if self._steps:
            now = state()
            if isinstance(now, Snapshot) and not now.facts["inside"] and now.facts["step"] >= self._steps[0]:
                self._evaluate(now)
        self._inner.offer(state)

    def _evaluate(self, now: Snapshot) -> None:
        step = self._steps[0]
        accuracy = self._measure(now.decode(), step)
        checked_files.write_json(self._record, {**{str(k): v for k, v in self._known().items()}, str(step): accuracy})
        try:
            self._decide(step, accuracy)
        except Pruned:
            self._inner.save(now)
            raise

    def _decide(self, step: int, accuracy: float) -> None:
        self._steps = [later for later in self._steps if later > step]
        if not self._report(step, accuracy):
            raise Pruned(step, accuracy)

    def _known(self) -> dict[int, float]:
        if not self._record.is_file():
            return {}
        return {int(step): float(accuracy) for step, accuracy in checked_files.read_json(self._record).items()}

    def save(self, state: State) -> None:
        """See ``Slot``."""
        self._inner.save(state)

    def trim(self) -> None:
        """See ``Slot``."""
        self._inner.trim()
