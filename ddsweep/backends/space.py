"""The space in which a search draws points: the distribution of every axis, and the cells of a point.

A point has one cell, or one per seed if ``seed`` has several values (``Sweep.seeds``): seeds are replicates of a point
and no axis. Cells of one point have the same *place*.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ddsweep.backends import Definition, Point, Scalar
from ddsweep.errors import UserError
from ddsweep.sweep import Range, Search, Sweep

DIGITS = 4  # of a drawn number, so that a person can type it: nobody can tell α = 127.4 from 127.39218
INVALID = "invalid-"  # start of the key of a point whose choices contradict each other
ENUMERATED = 10_000  # the largest space without continuous axes that is enumerated
Place = tuple[Scalar, ...]


@dataclass(frozen=True)
class Space:
    """The space in which a search draws points.

    Attributes:
        sweep: the sweep.
        search: its search.
        axes: the distribution of every parameter that is drawn.
    """

    sweep: Sweep
    search: Search
    axes: Mapping[str, BaseDistribution]

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> Space:
        """The space of a registered sweep, which must be a search."""
        sweep = Sweep.from_definition(definition)
        assert sweep.search is not None
        ranges = sweep.search.ranges
        axes = {
            name: _distribution(ranges[name]) if name in ranges else CategoricalDistribution(sweep.parameters[name])
            for name in sweep.varied
            if name != "seed" or not sweep.seeds
        }
        return cls(sweep, sweep.search, axes)

    @property
    def ranges(self) -> dict[str, BaseDistribution]:
        """The distributions of the parameters that have a range."""
        return {name: self.axes[name] for name in self.search.ranges}

    def place(self, point: Point) -> Place | None:
        """Where a point lies: its value on every axis; None if it is outside the space, or has other parameters."""
        params = dict(point.params)
        if self.sweep.seeds and params.pop("seed", None) not in self.sweep.seeds:
            return None
        if params.keys() != self.axes.keys() or not all(contains(self.axes[name], params[name]) for name in params):
            return None
        return tuple(params[name] for name in self.axes)

    def places(self, points: Iterable[Point]) -> dict[str, Place]:
        """The places of those points that have one, by key."""
        found = ((point.key, self.place(point)) for point in points)
        return {key: place for key, place in found if place is not None}

    def place_of(self, choices: Mapping[str, Scalar], key: str) -> Place | None:
        """Where a cell of an earlier launch lies, from all its choices; None if it is no cell of this space."""
        names = [*self.axes, *(["seed"] if self.sweep.seeds else [])]
        point = self._point({name: choices.get(name, 0 if name == "seed" else None) for name in names})
        return self.place(point) if point.key == key else None

    def cells(self, place: Place) -> list[Point]:
        """The cells of a point: one per seed if the seeds are replicates."""
        params = dict(zip(self.axes, place, strict=True))
        return [self._point({**params, "seed": seed}) for seed in self.sweep.seeds] or [self._point(params)]

    def _point(self, params: Mapping[str, Scalar]) -> Point:
        """The cell with these parameters. Contradictory choices get a key of their own."""
        plain = dict(params)
        try:
            recipe = self.sweep.recipe(plain)
        except UserError:
            digest = hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=8).hexdigest()
            title = " · ".join(f"{name} {value}" for name, value in plain.items())
            return Point(f"{INVALID}{digest}", plain, f"{INVALID}{digest}", title)
        fields = self.sweep.drawn_fields(recipe)
        return Point(recipe.key(), plain, recipe.key(), self.sweep.cell_title(recipe), fields)

    def readable(self, drawn: Mapping[str, Any]) -> Place:
        """The place of the values that a sampler drew, rounded to few digits within their range."""
        return tuple(_readable(self.search.ranges.get(name), drawn[name]) for name in self.axes)

    def seed(self, *names: int) -> int:
        """A seed for a sampler, from the first seed of the sweep's recipes."""
        text = ":".join(map(str, (self.sweep.parameters.get("seed", (0,))[0], "search", *names)))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")

    def all(self) -> Iterator[Place]:
        """Every place of a finite space; none if it is continuous or has more than ``ENUMERATED`` places."""
        values = [_values(kind) for kind in self.axes.values()]
        if all(values) and math.prod(map(len, values)) <= ENUMERATED:
            yield from itertools.product(*values)


def is_search(definition: Definition) -> bool:
    """Whether a definition is that of a search."""
    return bool(definition.definition.get("search"))


def is_invalid(point: Point) -> bool:
    """Whether a search drew a point whose choices contradict each other."""
    return point.key.startswith(INVALID)


def contains(axis: BaseDistribution, value: Scalar) -> bool:
    """Whether an axis contains a value; a logarithmic one does not contain the baseline's α = 0."""
    try:
        return bool(axis._contains(axis.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False


def _distribution(one: Range) -> BaseDistribution:
    if one.whole:
        return IntDistribution(int(one.min), int(one.max))
    low, high = float(one.min), float(one.max)
    if one.q:
        # otherwise Optuna rounds the bound itself, with a warning
        return FloatDistribution(low, low + math.floor((high - low) / one.q + 1e-9) * one.q, step=float(one.q))
    return FloatDistribution(low, high, log=one.log)


def _readable(one: Range | None, value: Any) -> Scalar:
    if one is None or not isinstance(value, float):
        return value
    width = abs(value) if one.log else float(one.max - one.min)
    short = round(value, DIGITS - 1 - math.floor(math.log10(width)))
    return min(max(short, float(one.min)), float(one.max))


def _values(axis: BaseDistribution) -> Sequence[Scalar]:
    """The values of an axis; empty if it is continuous."""
    if isinstance(axis, CategoricalDistribution):
        return axis.choices
    if isinstance(axis, IntDistribution):
        return range(axis.low, axis.high + 1, axis.step)
    if isinstance(axis, FloatDistribution) and axis.step:
        return [axis.low + i * axis.step for i in range(round((axis.high - axis.low) / axis.step) + 1)]
    return ()
