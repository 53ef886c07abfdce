"""DD-Ranking's label-robust score: how much of an accuracy is the set's, and not the training's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from ddsweep import rng
from ddsweep.distill.synthetic import initial
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from ddsweep.data import Dataset
    from ddsweep.evaluate import Evaluation, Rule

RATES = (0.001, 0.005, 0.01, 0.05, 0.1)  # the random subset gets the best of them
WEIGHT = 0.5


@dataclass(frozen=True)
class Score:
    """α = w·IOR − (1 − w)·HLR and (e^α − e^−1) / (e − e^−1), for accuracies as fractions: between 0 and 1.

    DD-Ranking's code puts percent into the same formula, which is then no number between 0 and 1.

    Attributes:
        synthetic: accuracy of networks on the set.
        random: of networks on as many real images drawn at random.
        full: of a network on all real images.
    """

    synthetic: float
    random: float
    full: float

    @property
    def ior(self) -> float:
        """Improvement over random."""
        return self.synthetic - self.random

    @property
    def hlr(self) -> float:
        """Hard label recovery: what is missing to the full dataset."""
        return self.full - self.synthetic

    @property
    def value(self) -> float:
        """The score."""
        alpha = WEIGHT * self.ior - (1 - WEIGHT) * self.hlr
        return (math.exp(alpha) - math.exp(-1)) / (math.e - math.exp(-1))


def random_subset(
    dataset: Dataset, ipc: int, rule: Rule, generator: torch.Generator, train: Callable[..., Evaluation]
) -> float:
    """Mean accuracy of networks on ``ipc`` random images per class, at the best of ``RATES``.

    Args:
        dataset: where the images come from.
        ipc: images per class.
        rule: how networks are trained, but for the learning rate.
        generator: draws the images and the networks, which are the same at every rate.
        train: ``evaluate.evaluate`` for a set, a generator and a rule.

    Raises:
        UserError: a class has fewer images.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    try:
        subset = initial(dataset, ipc, "real", rng.generator(seed, "subset")).detached()
    except ValueError as error:
        raise UserError(str(error)) from None
    rules = [replace(rule, lr=rate) for rate in RATES]
    return max(train(subset, generator=rng.generator(seed, "networks"), rule=one).mean for one in rules)
