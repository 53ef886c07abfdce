"""The label-robust score, from its definition."""

from __future__ import annotations

import math

import pytest
import torch

from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import UserError
from ddsweep.evaluate import Evaluation, Rule, evaluate
from ddsweep.exchange import robustness
from ddsweep.exchange.robustness import Score
from tests import toys


def test_its_ends_and_its_middle() -> None:
    assert Score(synthetic=1.0, random=0.0, full=0.0).value == pytest.approx(1)  # α = 1
    assert Score(synthetic=0.0, random=1.0, full=1.0).value == pytest.approx(0)  # α = −1
    middle = Score(synthetic=0.5, random=0.3, full=0.7)
    assert (middle.ior, middle.hlr) == (pytest.approx(0.2), pytest.approx(0.2))
    assert middle.value == pytest.approx((1 - math.exp(-1)) / (math.e - math.exp(-1)))


def test_a_random_subset_gets_the_best_rate() -> None:
    rates, others = [], set()

    def judged(subset: Synthetic, generator: torch.Generator, rule: Rule) -> Evaluation:
        rates.append(rule.lr)
        others.add((float(subset.images.sum()), subset.labels.tolist() == [0, 0, 1, 1, 2, 2], generator.initial_seed()))
        return Evaluation([rule.lr, 1 - 2 * rule.lr], [])

    generator = torch.Generator().manual_seed(0)
    best = robustness.random_subset(toys.dataset(), 2, Rule(epochs=2), generator, judged)
    assert best == pytest.approx((1 - 0.001) / 2)
    assert rates == [0.001, 0.005, 0.01, 0.05, 0.1]
    ((_, balanced, _),) = others  # the same images and the same networks at every rate
    assert balanced


def test_more_images_than_there_are() -> None:
    with pytest.raises(UserError, match="has fewer than 21 images"):
        robustness.random_subset(toys.dataset(), 21, Rule(epochs=1), torch.Generator(), evaluate)
