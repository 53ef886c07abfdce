"""How a swept choice is stored as an Optuna parameter, so that the dashboard can plot over it.

Optuna fixes the distribution of a parameter by its first trial: a categorical one may never get another choice. A
grid may grow, so ``books.retype`` re-writes the stored rows of an axis that has changed; here is what they change to.
Nothing but plots reads these rows: a point's parameters travel as JSON beside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ddsweep.backends import Scalar

LOG_SPAN = 100  # a positive axis over two decades or more reads best on a logarithmic scale


def distribution(values: Iterable[Scalar]) -> BaseDistribution:
    """The distribution of an axis that takes ``values``: whole numbers, numbers, or choices in order of appearance."""
    seen = list(dict.fromkeys((type(value), value) for value in values))  # 1, 1.0 and True are three values
    plain = [value for _, value in seen]
    numbers = [value for value in plain if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(plain):
        return CategoricalDistribution(plain)
    low, high = min(numbers), max(numbers)
    log = low > 0 and high >= LOG_SPAN * low
    if all(isinstance(value, int) for value in numbers):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)


def translation(numbers: Iterable[float], old: BaseDistribution, new: BaseDistribution) -> dict[float, float]:
    """The stored numbers that mean another choice under ``new`` than under ``old``, and what they have to become.

    Numbers stand for themselves in every numeric distribution, so an axis of numbers that grows changes none.
    """
    meant: dict[float, Any] = {number: old.to_external_repr(number) for number in numbers}
    translated = {number: float(new.to_internal_repr(value)) for number, value in meant.items()}
    return {before: after for before, after in translated.items() if before != after}
