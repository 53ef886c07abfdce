"""Networks in training on a synthetic set: where they are, and how they go on after they were cut off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from ddsweep.checkpoints import Damaged, State, into_training, of_training
from ddsweep.evaluate.rules import Rule

MOMENTUM, WEIGHT_DECAY, DECAY = 0.9, 5e-4, 0.1


@dataclass(frozen=True)
class Score:
    """One test of one network, as fractions of all test images and of those of each class."""

    accuracy: float
    by_class: list[float]


class Generators:
    """The generators of several networks; their state is a row each."""

    def __init__(self, each: Sequence[torch.Generator]) -> None:
        self.each = list(each)

    def get_state(self) -> Tensor:
        """Where they stand."""
        return torch.stack([one.get_state() for one in self.each])

    def set_state(self, state: Tensor) -> None:
        """Go on from there."""
        for one, row in zip(self.each, state, strict=True):
            one.set_state(row.clone())


@dataclass
class Training:
    """One network, or several as one module, in training.

    Attributes:
        net: the network, or ``nn.Together``.
        optimizer: its own.
        generators: of each network: it shuffles and augments.
        rule: how they are trained.
        done: passes that are done.
        best: of each network the test that counts so far; of equal ones the first.
    """

    net: torch.nn.Module
    optimizer: torch.optim.SGD
    generators: Generators
    rule: Rule
    done: int = 0
    best: list[Score] = field(default_factory=list)

    @classmethod
    def of(cls, net: torch.nn.Module, generators: Sequence[torch.Generator], rule: Rule) -> Training:
        """Before the first pass."""
        return cls(net, _optimizer(net, rule.lr), Generators(generators), rule)

    def begin_pass(self) -> None:
        """The rate falls before one of them."""
        if self.done == self.rule.fall:
            self.optimizer = _fall(self.optimizer, self.net, self.rule)
        self.net.train()

    def end_pass(self) -> int:
        """How many passes are done now."""
        self.done += 1
        return self.done

    def tested(self, scores: Sequence[Score]) -> None:
        """Every network was tested."""
        before = self.best or scores
        self.best = [new if new.accuracy > old.accuracy else old for old, new in zip(before, scores, strict=True)]

    def state(self) -> State:
        """For a checkpoint; after the last pass only the scores are needed."""
        finished = self.done == self.rule.passes
        tensors = {} if finished else of_training(self.net, self.optimizer, self.generators)
        return State(tensors, {"done": self.done, "best": [asdict(score) for score in self.best]})

    def restore(self, state: State) -> Training:
        """Go on from there. Raises Damaged, and has changed nothing, when something is missing."""
        try:
            done, scores = int(state.facts["done"]), [Score(**score) for score in state.facts["best"]]
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged(f"it does not say how far it is ({error})") from None
        if len(scores) != len(self.generators.each) and (scores or done >= self.rule.passes):
            raise Damaged(f"it has {len(scores)} scores of {len(self.generators.each)} networks")
        if done < self.rule.passes:
            into_training(state, self.net, self.optimizer, self.generators)
            if done > self.rule.fall:
                _slow(self.optimizer, self.rule)
        self.done, self.best = done, scores
        return self


def _optimizer(net: torch.nn.Module, lr: float) -> torch.optim.SGD:
    return torch.optim.SGD(net.parameters(), lr=lr, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)


def _fall(optimizer: torch.optim.SGD, net: torch.nn.Module, rule: Rule) -> torch.optim.SGD:
    if rule.restart:
        optimizer = _optimizer(net, rule.lr)
    _slow(optimizer, rule)
    return optimizer


def _slow(optimizer: torch.optim.SGD, rule: Rule) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rule.lr * DECAY
