"""The state of networks that are trained on a synthetic set, with their checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from ddsweep.checkpoints import Damaged, State, into_training, of_training
from ddsweep.evaluate.rules import Rule
from ddsweep.nn import optimizers

MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4


@dataclass(frozen=True)
class Score:
    """The result of one test of one network, as fractions.

    Attributes:
        accuracy: accuracy on all test images.
        by_class: accuracy on the test images of each class.
        by_group: accuracy by group (``groups.accuracy``); empty for a dataset without attributes.
    """

    accuracy: float
    by_class: list[float]
    by_group: dict[str, float | None] = field(default_factory=dict)


class Generators:
    """The generators of several networks as one; their state has one row per network."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self.generators = list(generators)

    def __len__(self) -> int:
        return len(self.generators)

    def get_state(self) -> Tensor:
        """Return the states, stacked."""
        return torch.stack([generator.get_state() for generator in self.generators])

    def set_state(self, state: Tensor) -> None:
        """Restore ``get_state()``."""
        for generator, row in zip(self.generators, state, strict=True):
            generator.set_state(row.clone())


@dataclass
class Training:
    """One network in training, or several as one module.

    Attributes:
        net: the network, or ``nn.StackedNetworks``.
        optimizer: its optimizer.
        generators: one for each network, which shuffles and augments.
        rule: how they are trained.
        done: epochs that are done.
        best: for each network, the test that counts so far; of equal ones the first.
    """

    net: torch.nn.Module
    optimizer: optimizers.SGD
    generators: Generators
    rule: Rule
    done: int = 0
    best: list[Score] = field(default_factory=list)

    @classmethod
    def initial(cls, net: torch.nn.Module, generators: Sequence[torch.Generator], rule: Rule) -> Training:
        """Return the state before the first epoch."""
        return cls(net, _optimizer(net, rule.rate(0)), Generators(generators), rule)

    def begin_epoch(self) -> None:
        """Set the learning rate of the epoch, and put the networks into train mode."""
        rate = self.rule.rate(self.done)
        if self.rule.restart and self.done in self.rule.decay_epochs:
            self.optimizer = _optimizer(self.net, rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.net.train()

    def end_epoch(self) -> int:
        """Count an epoch as done, and return how many are."""
        self.done += 1
        return self.done

    def record(self, scores: Sequence[Score]) -> None:
        """Record a test of every network."""
        before = self.best or scores
        self.best = [new if new.accuracy > old.accuracy else old for old, new in zip(before, scores, strict=True)]

    def checkpoint(self) -> State:
        """Return a checkpoint; after the last epoch it holds the scores only."""
        finished = self.done == self.rule.total_epochs
        tensors = {} if finished else of_training(self.net, self.optimizer, self.generators)
        return State(tensors, {"done": self.done, "best": [asdict(score) for score in self.best]})

    def restore(self, state: State) -> Training:
        """Resume from a checkpoint.

        Raises:
            Damaged: something is missing; nothing has changed.
        """
        try:
            done, scores = int(state.facts["done"]), [Score(**score) for score in state.facts["best"]]
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged(f"it does not record its progress ({error})") from None
        if len(scores) != len(self.generators) and (scores or done >= self.rule.total_epochs):
            raise Damaged(f"it has {len(scores)} scores of {len(self.generators)} networks")
        if done < self.rule.total_epochs:
            into_training(state, self.net, self.optimizer, self.generators)
        self.done, self.best = done, scores
        return self


def _optimizer(net: torch.nn.Module, lr: float) -> optimizers.SGD:
    return optimizers.SGD(net.parameters(), lr=lr, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
