"""The scale of an axis, and where its values lie."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from ddsweep.results.plots.axis import Axis


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1, 20], "log"), ([1, 19], "linear"), ([0, 1000], "linear"), ([0, 1, 1000], "symlog"), ([0, 1, 19], "linear"),
        ([-1, 1, 1000], "linear"), ([0.001, 1], "log"), ([0, 0], "category"), (["a", 1], "category"),
        ([True, False], "category"), ([1, float("nan")], "category"), ([], "category"),
    ],
)  # fmt: skip
def test_the_scale(values: list[Any], scale: str) -> None:
    assert Axis.of("x", list(map(str, values)), values).scale == scale


@pytest.mark.parametrize(
    ("values", "positions"),
    [
        ([3, 1, 2], [3, 1, 2]),
        ([1, 10, 1000], [0, 1, 3]),
        ([0, 10, 1000], [0.5, 1, 3]),
        (["b", "a", 7], [0, 1, 2]),
        ([None, 1, 3], [0.5, 1, 3]),
        ([None, 0, 80], [-10, 0, 80]),
        ([None, 1, 100000], [-0.625, 0, 5]),
    ],
)
def test_the_positions(values: list[Any], positions: list[float]) -> None:
    assert Axis.of("x", list(map(str, values)), values, baseline=[0]).positions == pytest.approx(positions)


@pytest.mark.parametrize(
    "values",
    [
        [1234567, 1234568], [0, 1, 10_000, 1234567, 1234568], [0.1, math.nextafter(0.1, 1), 1], [5, 5, 7],
        [1234.54935, 1234.5545, 2e7],
    ],
)  # fmt: skip
def test_distinct_labels_never_share_a_place(values: list[float]) -> None:
    places = sorted(Axis.of("x", [str(index) for index in range(len(values))], values).positions)
    nearest = min(second - first for first, second in itertools.pairwise(places))
    assert nearest >= (places[-1] - places[0]) / 1000


def test_sampled_values_stay_on_their_scale() -> None:
    values = [1, 127.4, 127.5, 10_000]
    assert Axis.of("x", list(map(str, values)), values, sampled=True).scale == "log"


def test_only_a_baseline_may_lack_a_number() -> None:
    assert Axis.of("x", ["baseline", "1"], [None, 1], baseline=[0]).scale == "linear"
    assert Axis.of("x", ["baseline", "1"], [None, 1]).scale == "category"
