"""Accuracies and their differences as people read them: percentages with one decimal, rounded alike everywhere.

The rounding is half away from zero on the decimal digits: 0.9005 is 90.1, -0.0005 is -0.1. The sums of accuracies have
small errors in binary, so a fraction is rounded to ``EXACT`` decimals first; no test set is so large that this matters.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

EXACT = 12  # decimals of a fraction that are believed: below them is the error of summing floats
_TENTH = Decimal("0.1")


def percent(fraction: float) -> str:
    """Return a fraction in percent: ``90.1`` for 0.9005; never ``-0.0``."""
    return f"{_rounded(fraction):.1f}"


def points(difference: float) -> str:
    """Return a difference of fractions in percentage points, always with a sign: ``+0.1``, ``-2.4``, ``+0.0``."""
    return f"{_rounded(difference):+.1f}"


def mean_std(mean: float, std: float | None) -> str:
    """Return ``88.2 ± 0.4`` in percent; without a standard deviation ``88.2``."""
    return percent(mean) if std is None else f"{percent(mean)} ± {percent(std)}"


def _rounded(fraction: float) -> Decimal | float:
    if not math.isfinite(fraction):
        return fraction
    exact = Decimal(f"{fraction:.{EXACT}f}")
    return exact.scaleb(2).quantize(_TENTH, ROUND_HALF_UP) + 0  # + 0: no negative zero
