"""One rounding: half away from zero on the decimal digits, as ``docs/tables.md`` says under "Digits"."""

from __future__ import annotations

import ast
import random
import re
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from ddsweep.percent import mean_std, percent, points


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (0.9005, "90.1"), (0.8995, "90.0"), (0.90049, "90.0"), (0.0005, "0.1"), (0.0004, "0.0"), (1.0, "100.0"),
        (0.99949, "99.9"), (0.9995, "100.0"), (0.0, "0.0"), (-0.0, "0.0"), (-0.0004, "0.0"), (-0.0005, "-0.1"),
        (1, "100.0"), (float("nan"), "nan"), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_a_fraction_in_percent(fraction: float, expected: str) -> None:
    assert percent(fraction) == expected


@pytest.mark.parametrize(
    ("difference", "expected"),
    [(0.9005 - 0.9, "+0.1"), (0.9 - 0.9005, "-0.1"), (0.3 - 0.2 - 0.1, "+0.0"), (-0.024, "-2.4"), (0.0, "+0.0")],
)
def test_a_difference_in_points(difference: float, expected: str) -> None:
    assert points(difference) == expected


def test_a_mean_with_its_standard_deviation() -> None:
    assert mean_std(0.8815, 0.0035) == "88.2 ± 0.4"
    assert mean_std(0.8815, 0.0) == "88.2 ± 0.0"
    assert mean_std(0.8815, None) == "88.2"


def by_decimals(value: Fraction) -> Decimal:
    """The exact percentage, rounded half away from zero with one decimal."""
    tenths = Decimal((abs(value) * 1000 + Fraction(1, 2)).__floor__()).scaleb(-1)
    return -tenths if value < 0 else tenths


def test_every_number_with_four_decimals_is_rounded_like_its_decimal_digits() -> None:
    for index in range(-10_000, 10_001):
        expected = Decimal(index).scaleb(-2).quantize(Decimal("0.1"), ROUND_HALF_UP)
        assert Decimal(percent(index / 10_000)) == expected
        assert Decimal(points(index / 10_000)) == expected


def test_means_and_differences_of_counts_are_rounded_like_the_exact_numbers() -> None:
    """Accuracies are counts of test images; sums of their floats have errors that must not decide a tie."""
    draw = random.Random(0)
    ties = 0
    for _ in range(20_000):
        images = draw.choice([100, 360, 1_000, 2_000, 10_000, 26_032, 50_000])
        networks = draw.choice([1, 2, 3, 4, 5, 10])
        one, other = ([draw.randrange(images + 1) for _ in range(networks)] for _ in range(2))
        mean = sum(count / images for count in one) / networks
        baseline = sum(count / images for count in other) / networks
        exact = Fraction(sum(one), images * networks), Fraction(sum(other), images * networks)
        ties += (exact[0] * 2_000).denominator == 1 and (exact[0] * 1_000).denominator == 2
        assert Decimal(percent(mean)) == by_decimals(exact[0])
        assert Decimal(points(mean - baseline)) == by_decimals(exact[0] - exact[1])
    assert ties > 100


def test_no_other_place_rounds_percentages() -> None:
    """Nowhere else is a number that is multiplied by 100 formatted with decimals."""
    for path in Path(percent.__code__.co_filename).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
                spec = ast.unparse(node.format_spec)
                value = ast.unparse(node.value)
                assert not (re.search(r"\b100 \*|\* 100\b", value) and re.search(r"\.\d[fg]", spec)), f"{path}: {value}"
                assert not re.search(r"\.\d%", spec), f"{path}: {value}"
