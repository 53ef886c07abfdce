"""The axis of a sweep in a figure: its scale, and the position of each of its values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Scale = Literal["linear", "log", "symlog", "category"]

LOG_SPAN = 20.0  # numbers that span this factor or more are spaced by their logarithms: epochs 1 to 20, α 1 to 10,000
ZERO = 0.5  # decades between zero and the smallest positive number of a "symlog" axis
NEAREST = 1 / 1000  # of the axis, between two of its values: closer ones would look like one
BESIDE = 1 / 8  # of the axis, and at least 0.5: between its first number and a baseline that has no number


@dataclass(frozen=True)
class Axis:
    """The values of a sweep's axis, in the order of the table's columns.

    Attributes:
        name: the name to write beside the axis.
        labels: a label per value.
        values: the number of each label; None for a label that is not a number.
        scale: ``log``: positive numbers that span ``LOG_SPAN``; ``symlog``: such numbers and zero; ``linear``:
            other numbers; ``category``: words, labels of which some are words, or numbers closer than ``NEAREST``.
    """

    name: str
    labels: list[str]
    values: list[float | None]
    scale: Scale

    @classmethod
    def of(
        cls,
        name: str,
        labels: Sequence[str],
        values: Sequence[Any],
        baseline: Iterable[int] = (),
        *,
        sampled: bool = False,
    ) -> Axis:
        """Choose the scale. Distinct values have distinct places.

        Args:
            name: the name to write beside the axis.
            labels: a label per value.
            values: the values themselves: numbers or anything else.
            baseline: indices of labels that may lack a number without making the axis one of words.
            sampled: whether the values are points of an interval, which may be arbitrarily close.
        """
        numbers = [value if is_number(value) else None for value in values]
        words = [index for index, number in enumerate(numbers) if number is None and index not in set(baseline)]
        known = [number for number in numbers if number is not None]
        found = cls(name, list(labels), numbers, "category" if words or not known else scale_of(known))
        return found if sampled or found._are_apart() else replace(found, scale="category")

    def _are_apart(self) -> bool:
        """Whether the values have places that can be told apart."""
        places = sorted(self.positions)
        span = places[-1] - places[0] if places else 0.0
        return all(one - other > NEAREST * span for other, one in itertools.pairwise(places))

    @property
    def numeric(self) -> bool:
        """Whether a value can lie between two others."""
        return self.scale != "category"

    @property
    def positions(self) -> list[float]:
        """Where each value lies on an evenly spaced axis.

        Numbers lie at themselves or, on a logarithmic axis, at their logarithms to base 10, with zero ``ZERO`` decades
        below the smallest positive one. A baseline without a number stands at the left of all. Words lie at 0, 1, 2, …
        """
        if not self.numeric:
            return [float(index) for index in range(len(self.labels))]
        known = [self._position(value) for value in self.values if value is not None]
        beside = min(known) - max(BESIDE * (max(known) - min(known)), 0.5)
        return [beside if value is None else self._position(value) for value in self.values]

    def _position(self, value: float) -> float:
        if self.scale == "linear":
            return float(value)
        return math.log10(value) if value else self._smallest - ZERO

    @property
    def _smallest(self) -> float:
        return math.log10(min(value for value in self.values if value))


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def scale_of(numbers: Sequence[float]) -> Scale:
    """The scale on which ``numbers`` are shown: linear unless none is negative and they span ``LOG_SPAN``."""
    if not is_logarithmic(numbers):
        return "linear"
    return "symlog" if 0 in numbers else "log"


def is_logarithmic(numbers: Iterable[float]) -> bool:
    """Whether numbers are spaced by their logarithms: none is negative, the positive ones span ``LOG_SPAN``."""
    ordered = sorted(numbers)
    positive = [number for number in ordered if number > 0]
    return bool(positive) and ordered[0] >= 0 and positive[-1] >= LOG_SPAN * positive[0]
