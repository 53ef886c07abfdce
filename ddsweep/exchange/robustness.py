"""DD-Ranking's label-robust score: the share of an accuracy that is due to the set, not to the training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from ddsweep import rng
from ddsweep.distill.sets.pixels import initial
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from ddsweep.data import Dataset
    from ddsweep.evaluate import Evaluation, Rule

RATES = (0.001, 0.005, 0.01, 0.05, 0.1)  # learning rates; the random subset is scored at the best of them
WEIGHT = 0.5  # w in the formula of Score


@dataclass(frozen=True)
class Score:
    """The score (e^α − e^−1) / (e − e^−1) with α = w·IOR − (1 − w)·HLR; between 0 and 1 for accuracies as fractions.

    DD-Ranking's code uses percentages in the same formula, so its scores are not limited to [0, 1].

    Attributes:
        synthetic: accuracy of networks trained on the set.
        random: accuracy of networks trained on the same number of randomly drawn real images.
        full: accuracy of a network trained on all real images.
    """

    synthetic: float
    random: float
    full: float

    @property
    def ior(self) -> float:
        """Improvement over random: ``synthetic`` − ``random``."""
        return self.synthetic - self.random

    @property
    def hlr(self) -> float:
        """Hard label recovery: ``full`` − ``synthetic``, the gap to the full dataset."""
        return self.full - self.synthetic

    @property
    def value(self) -> float:
        """The label-robust score."""
        alpha = WEIGHT * self.ior - (1 - WEIGHT) * self.hlr
        return (math.exp(alpha) - math.exp(-1)) / (math.e - math.exp(-1))


def random_subset(
    dataset: Dataset, ipc: int, rule: Rule, generator: torch.Generator, train: Callable[..., Evaluation]
) -> float:
    """Return the mean accuracy of networks trained on ``ipc`` random images per class, at the best of ``RATES``.

    Args:
        dataset: the dataset from which images are drawn.
        ipc: images per class.
        rule: the evaluation protocol; its learning rate is replaced.
        generator: draws the images and the networks, which are the same for every learning rate.
        train: ``evaluate.evaluate`` as a function of a set, a generator and a rule.

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
