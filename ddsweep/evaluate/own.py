"""Training by a plugin's own rule: its function trains a network, and ddsweep tests it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from ddsweep import rng
from ddsweep.checkpoints import Damaged, Slot, State
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import PluginError
from ddsweep.evaluate.rules import RULES, Rule
from ddsweep.evaluate.trainer import accuracy
from ddsweep.evaluate.training import Score
from ddsweep.numerics import Numerics
from ddsweep.plugins import guards, resolve
from ddsweep.plugins.blame import blamed

if TYPE_CHECKING:
    from ddsweep.data import Dataset


class OwnTrainer:
    """Trains one network after the other by the function of a rule, and tests each once, at the end.

    A network that was interrupted starts again; those that are done are not trained again.

    Args:
        synthetic: the training images; each call of the function gets a copy.
        dataset: the dataset whose test images are used.
        rule: its ``own`` names the rule.
        numerics: the precision; the function is never compiled.
    """

    def __init__(self, synthetic: Synthetic, dataset: Dataset, rule: Rule, numerics: Numerics | None = None) -> None:
        self._synthetic, self._dataset, self.rule = synthetic.detached(), dataset, rule
        self._numerics = (numerics or Numerics()).eager

    def train(
        self,
        nets: Sequence[torch.nn.Module],
        generators: Sequence[torch.Generator],
        progress: Callable[[int], None] | None = None,
        slot: Slot | None = None,
    ) -> list[Score]:
        """Train a freshly initialized network, and return the test after the last epoch; see ``Trainer.train``.

        Raises:
            PluginError: the function raises an error, or returns something; the line names the rule.
            Interrupted: the slot was asked to stop.
        """
        ((net,), (generator,)), slot = (nets, generators), slot or Slot()
        if (score := slot.resume(_finished)) is not None:
            return [score]
        row, boundaries = RULES[self.rule.own], _Boundaries(slot, self.rule.epochs, progress)
        available = {
            "net": net.train(), "synthetic": self._copy(), "dataset": self._dataset, "epochs": self.rule.epochs,
            "batch": self.rule.batch, "lr": self.rule.lr, "strategy": self.rule.strategy, "generator": generator,
            "progress": boundaries.passed,
        }  # fmt: skip
        body = partial(resolve(row.source), **{name: available[name] for name in row.takes})
        what, code = f"evaluation {self.rule.own!r}", RULES.code(self.rule.own)
        seeded = rng.seeded_globals(generator.initial_seed(), "evaluation", self.rule.own)
        with blamed(what, code.path if code else None), guards.calling(what), seeded:
            returned = self._numerics.function(body)()
        if returned is not None and returned is not net:
            found = f"returns {type(returned).__name__}; it must train net in place and return nothing"
            raise PluginError(f"{what}: its function {found}", final=True)
        boundaries.end()
        score = accuracy(net, self._dataset)
        slot.save(State({}, {"done": self.rule.epochs, "best": [asdict(score)]}))
        return [score]

    def _copy(self) -> Synthetic:
        """The set with memory of its own: what the function does to it does not reach the next network."""
        own = self._synthetic
        return replace(own, images=own.images.clone(), labels=own.labels.clone())


class _Boundaries:
    """The epochs of a function: each is reported, and is a point at which it can be asked to stop."""

    def __init__(self, slot: Slot, epochs: int, progress: Callable[[int], None] | None) -> None:
        self._slot, self._epochs, self._progress, self._done = slot, epochs, progress, 0

    def passed(self, done: int) -> None:
        """``done`` epochs have been done.

        Raises:
            Interrupted: the slot was asked to stop.
        """
        done = min(int(done), self._epochs)
        while self._done < done:
            self._done += 1
            self._slot.offer(lambda: State({}, {"done": self._done, "best": []}))
        if self._progress:
            self._progress(self._done)

    def end(self) -> None:
        """The function has returned."""
        if self._progress and self._done < self._epochs:
            self._progress(self._epochs)


def _finished(state: State) -> Score | None:
    """The score of a finished network; None if it was interrupted, and has to be trained again."""
    try:
        scores = [Score(**score) for score in state.facts["best"]]
    except (KeyError, TypeError) as error:
        raise Damaged(f"it does not record a score ({error})") from None
    return scores[0] if scores else None
