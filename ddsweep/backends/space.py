"""The space of a search as Optuna has it, and what stands in the books as trials of Optuna's."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from ddsweep.backends import Point, Scalar
from ddsweep.backends.ledger import Attempt, Phase
from ddsweep.errors import UserError
from ddsweep.sweep import Range, Search, Sweep

DIGITS = 4  # of a drawn number, so that a person can type it: nobody can tell α = 127.4 from 127.39218
ENUMERATED = 10_000  # choices of a space without continuous axes, up to which they are looked through
STATES = {
    Phase.COMPLETE: TrialState.COMPLETE, Phase.PRUNED: TrialState.PRUNED, Phase.RUNNING: TrialState.RUNNING,
    Phase.WAITING: TrialState.RUNNING,
}  # fmt: skip


@dataclass(frozen=True)
class Space:
    """Where the points of a search may lie.

    Attributes:
        sweep: whose.
        search: its search.
        axes: the distribution of every swept parameter.
    """

    sweep: Sweep
    search: Search
    axes: Mapping[str, BaseDistribution]

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> Space:
        """The space of a sweep that was registered; it must be a search."""
        sweep = Sweep.from_definition(definition)
        assert sweep.search is not None
        ranges = sweep.search.ranges
        axes = {
            name: _distribution(ranges[name]) if name in ranges else CategoricalDistribution(sweep.parameters[name])
            for name in sweep.swept
        }
        return cls(sweep, sweep.search, axes)

    @property
    def ranges(self) -> dict[str, BaseDistribution]:
        """The distributions of those that have a range."""
        return {name: self.axes[name] for name in self.search.ranges}

    def holds(self, point: Point) -> bool:
        """Whether a point could have been drawn, and still is the same experiment."""
        return self._within(point) and self.point(point.params).identity == point.identity

    def _within(self, point: Point) -> bool:
        return point.params.keys() == self.axes.keys() and all(
            contains(self.axes[name], value) for name, value in point.params.items()
        )

    def point(self, params: Mapping[str, Scalar]) -> Point:
        """A point as it travels. Choices that make no recipe are one too, with a key of their own."""
        plain = dict(params)
        try:
            recipe = self.sweep.recipe(plain)
        except UserError:
            digest = hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=8).hexdigest()
            title = " · ".join(f"{name} {value}" for name, value in plain.items())
            return Point(f"invalid-{digest}", plain, f"invalid-{digest}", title)
        return Point(recipe.key(), plain, recipe.key(), recipe.title())

    def readable(self, drawn: Mapping[str, Any]) -> dict[str, Scalar]:
        """What a sampler drew, in few digits; still in its range."""
        return {name: _readable(self.search.ranges.get(name), value) for name, value in drawn.items()}

    def seed(self, *names: int) -> int:
        """A seed for a sampler, from the first seed of the sweep's recipes."""
        text = ":".join(map(str, (self.sweep.parameters.get("seed", (0,))[0], "search", *names)))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")

    def all(self) -> Iterator[Point]:
        """Every point of a space that has a limited number of them; none of one that has not, or very many."""
        values = [_values(kind) for kind in self.axes.values()]
        if all(values) and math.prod(map(len, values)) <= ENUMERATED:
            for some in itertools.product(*values):
                yield self.point(dict(zip(self.axes, some, strict=True)))

    def trial(self, attempt: Attempt) -> FrozenTrial | None:
        """An attempt as Optuna sees it; None for one that failed, or lies elsewhere."""
        if attempt.phase not in STATES or not self._within(attempt.point):
            return None
        done = attempt.phase is Phase.COMPLETE
        return create_trial(
            state=STATES[attempt.phase], values=self._told(attempt) if done else None,
            params=attempt.point.params, distributions=dict(self.axes),
            intermediate_values=dict(attempt.looks),
        )  # fmt: skip

    def _told(self, attempt: Attempt) -> list[float]:
        if len(self.search.objectives) == 1:
            return [float(attempt.value or 0.0)]
        return [float(attempt.attributes[name]) for name in self.search.objectives]


def contains(axis: BaseDistribution, value: Scalar) -> bool:
    """Whether an axis has a value; the baseline's α = 0 is on no logarithmic one."""
    try:
        return bool(axis._contains(axis.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False


def _distribution(one: Range) -> BaseDistribution:
    if one.whole:
        return IntDistribution(int(one.min), int(one.max))
    low, high = float(one.min), float(one.max)
    if one.q:
        # Optuna warns where it has to do this itself
        return FloatDistribution(low, low + math.floor((high - low) / one.q + 1e-9) * one.q, step=float(one.q))
    return FloatDistribution(low, high, log=one.log)


def _readable(one: Range | None, value: Any) -> Scalar:
    if one is None or not isinstance(value, float):
        return value
    width = abs(value) if one.log else float(one.max - one.min)
    short = round(value, DIGITS - 1 - math.floor(math.log10(width)))
    return min(max(short, float(one.min)), float(one.max))


def _values(axis: BaseDistribution) -> Sequence[Scalar]:
    """The values of an axis; none if it is continuous."""
    if isinstance(axis, CategoricalDistribution):
        return axis.choices
    if isinstance(axis, IntDistribution):
        return range(axis.low, axis.high + 1, axis.step)
    if isinstance(axis, FloatDistribution) and axis.step:
        return [axis.low + i * axis.step for i in range(round((axis.high - axis.low) / axis.step) + 1)]
    return ()
