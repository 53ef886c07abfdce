from __future__ import annotations

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ddsweep.backends import Scalar
from ddsweep.backends.optuna import grid


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 1, 2], IntDistribution(1, 3)),
        ([1, 0.5], FloatDistribution(0.5, 1.0)),
        ([0, 10000.0], FloatDistribution(0.0, 10000.0)),
        ([1.0, 10000.0], FloatDistribution(1.0, 10000.0, log=True)),
        ([7], IntDistribution(7, 7)),
        (["b", "a", "b"], CategoricalDistribution(["b", "a"])),
        ([True, False], CategoricalDistribution([True, False])),
        ([1, None], CategoricalDistribution([1, None])),
    ],
)
def test_the_distribution_of_an_axis(values: list[Scalar], expected: BaseDistribution) -> None:
    assert grid.distribution(values) == expected


def test_translation_keeps_the_choice() -> None:
    old, new = CategoricalDistribution(["a", "b"]), CategoricalDistribution(["c", "b", "a"])
    assert grid.translation([0.0, 1.0], old, new) == {0.0: 2.0}, "b stays where it was"
    assert grid.translation([5.0], IntDistribution(1, 5), CategoricalDistribution(["none", 5])) == {5.0: 1.0}


def test_numbers_stand_for_themselves() -> None:
    new = FloatDistribution(0.5, 5000.0, log=True)
    assert grid.translation([1.0, 2.0, 5.0], IntDistribution(1, 5), new) == {}
