"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ddsweep import text


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (614, "614 B"),
        (1_000, "1 kB"),
        (999_949, "1 MB"),
        (614e6, "614 MB"),
        (999.9e6, "1 GB"),
        (1.1e9, "1.1 GB"),
        (1.5e12, "1.5 TB"),
        (1.5e15, "1,500 TB"),
    ],
)
def test_data_size(count: float, expected: str) -> None:
    assert text.data_size(count) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (41.4, "41 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (725, "12 min 5 s"),
        (3_599.6, "1 h"),
        (3_601, "1 h"),
        (18_600, "5 h 10 min"),
        (86_399, "1 d"),
        (187_200, "2 d 4 h"),
        (172_860, "2 d"),
        (12 * 86_400 + 7_200, "12 d"),
        (3.2 * 365 * 86_400, "3.2 years"),
    ],
)
def test_duration(seconds: float, expected: str) -> None:
    assert text.duration(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "just now"), (59, "just now"), (60, "1 min ago"), (5 * 3_600, "5 h ago"), (3 * 86_400 + 5, "3 d ago")],
)
def test_age(seconds: float, expected: str) -> None:
    assert text.age(seconds) == expected


def test_plural() -> None:
    assert [text.plural(count, "cell") for count in (0, 1, 2, 1200)] == ["0 cells", "1 cell", "2 cells", "1,200 cells"]
    assert text.plural(2, "class") == "2 classes"
    assert text.plural(2, "axis", "axes") == "2 axes"


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [([], ""), ([3], "3"), ([0, 1], "0-1"), ([0, 1, 2, 5, 7, 8], "0-2 5 7-8"), (range(42), "0-41")],
)
def test_successive_numbers_are_a_range(numbers: Iterable[int], shown: str) -> None:
    assert text.ranges(numbers) == shown


@pytest.mark.parametrize(
    ("step", "unit", "said"),
    [(0.005, "step", "200 steps/s"), (0.089, "iteration", "11.2 iterations/s"), (0.01, "pass", "100 passes/s"),
     (0.01, "batch", "100 batches/s"), (3.5, "step", "3.5 s per step"), (1.0, "step", "1 steps/s"),
     (250.0, "step", "250 s per step")],
)  # fmt: skip
def test_the_pace_of_steps_is_never_none(step: float, unit: str, said: str) -> None:
    assert text.pace(step, unit) == said
