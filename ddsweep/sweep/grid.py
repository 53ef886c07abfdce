"""A sweep as plain values, and its cells."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, make
from ddsweep.sweep.document import Picture, Rule, Scalar
from ddsweep.sweep.expression import Expression
from ddsweep.sweep.search import Search


@dataclass(frozen=True)
class Cell:
    """One experiment of a sweep.

    Attributes:
        point: the swept parameters with the values they have in the recipe: what travels through a backend.
        recipe: the experiment.
        key: its identity, and the name of its run folder.
    """

    point: dict[str, Scalar]
    recipe: Recipe
    key: str


@dataclass(frozen=True)
class Sweep:
    """A sweep at one scale, as plain values: ``Sweep(**sweep.definition())`` is the same sweep on another machine.

    Attributes:
        name: the file's name.
        profile: the profile it was joined with.
        title: what it asks.
        paper: the table or figure of the paper that it belongs to.
        axis: the parameters that the ablation is about: the columns of its table.
        baseline: choices that make a cell the one to compare with, within the same row.
        exclude: partial points and conditions (``expression``); a cell that agrees with one of them is left out.
        max_attempts: how often a failing cell is tried.
        parameters: every chosen Recipe field with its values; one value: fixed.
        pictures: the kinds of pictures that are drawn when it is done (``results.gallery``).
        search: how points are drawn; None: the sweep is the grid of its parameters.
        drawn: the points that a search has drawn so far.
    """

    name: str
    profile: str
    title: str
    paper: str
    axis: tuple[str, ...]
    baseline: dict[str, Scalar]
    exclude: tuple[Rule, ...]
    max_attempts: int
    parameters: dict[str, tuple[Scalar, ...]]
    pictures: tuple[Picture, ...] = ("grid",)
    search: Search | None = None
    drawn: tuple[dict[str, Scalar], ...] = ()

    @property
    def full_name(self) -> str:
        """``NAME@PROFILE``: what a launched sweep is known by."""
        return f"{self.name}@{self.profile}"

    @property
    def swept(self) -> tuple[str, ...]:
        """The parameters that vary, in the order of the file; those of the axis even where one value is left."""
        varied = (name for name, values in self.parameters.items() if len(values) > 1 or name in self.axis)
        return (*varied, *(self.search.ranges if self.search else ()))

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every distinct experiment. Points that are the same experiment (the baseline at each N_m) are one cell.

        Of a search those there are so far, along its axis: the baselines, and what was drawn (``with_points``).

        Raises:
            UserError: a cell is no valid recipe; the line names the field.
        """
        found: dict[str, Cell] = {}
        for choices in self._product(self.parameters) if self.search is None else self._searched():
            recipe = make(choices)
            key = recipe.key()
            if key not in found:
                point = {name: getattr(recipe, name) for name in self.swept}
                if self.search and self.is_baseline(recipe):
                    point |= self.baseline  # which may be about what the search holds fixed
                elif self.recipe(point).key() != key:  # a swept choice went over into a fixed one: one α for every PTM
                    point = {name: choices[name] for name in self.swept}
                found[key] = Cell(point, recipe, key)
        if not found and not self.search:
            raise UserError(f"exclude: leaves no cell of {self.name}")
        return tuple(found.values())

    def _product(self, parameters: Mapping[str, Iterable[Scalar]]) -> Iterator[dict[str, Scalar]]:
        """The choices of a grid, without what is excluded."""
        rules = [self._condition(rule) for rule in self.exclude]
        for values in itertools.product(*parameters.values()):
            choices = dict(zip(parameters, values, strict=True))
            if not any(leaves_out(choices) for leaves_out in rules):
                yield choices

    def _searched(self) -> Iterator[dict[str, Scalar]]:
        """The choices of a search: a baseline for every setting that it leaves open, and the points along the axis."""
        pinned: dict[str, tuple[Scalar, ...]] = {name: (value,) for name, value in self.baseline.items()}
        if self.baseline:
            yield from self._product(self.parameters | pinned)
        fixed = {name: values[0] for name, values in self.parameters.items()}
        yield from (fixed | point for point in sorted(self.drawn, key=self._along_axis))

    def _along_axis(self, point: Mapping[str, Scalar]) -> list[tuple[bool, float, str]]:
        """Numbers by their size, then words."""
        places = [point.get(name) for name in (*self.axis, *self.swept)]
        return [
            (False, float(place), "") if isinstance(place, int | float) else (True, 0.0, str(place)) for place in places
        ]

    @cached_property
    def recipes(self) -> tuple[Recipe, ...]:
        """Recipes whose PTMs and data are all that any cell needs: those of the cells, and the ends of a search."""
        ends = [recipe for _, recipe in self._corners() if isinstance(recipe, Recipe)] if self.search else []
        return (*(cell.recipe for cell in self.cells), *ends)

    def check(self) -> None:
        """Whether every cell is a recipe; of a search whether each end of each range can be one.

        Raises:
            UserError: it is not; the line names the field.
        """
        _ = self.cells
        corners = list(self._corners()) if self.search else []
        for name, value in dict.fromkeys((name, value) for point, _ in corners for name, value in point.items()):
            there = [found for point, found in corners if point.get(name) == value]
            errors = [found for found in there if isinstance(found, UserError)]
            if len(errors) == len(there):
                raise errors[0]

    def _corners(self) -> Iterator[tuple[dict[str, Scalar], Recipe | UserError]]:
        """Every choice at the ends of the ranges, and at each epoch that PTMs may be taken at."""
        assert self.search is not None
        ends: dict[str, Iterable[Scalar]] = {
            name: range(int(one.min), int(one.max) + 1) if name == "ptm_epoch" and one.whole else (one.min, one.max)
            for name, one in self.search.ranges.items()
        }
        for choices in self._product(self.parameters | ends):
            try:
                yield choices, make(choices)
            except UserError as error:
                yield choices, error

    def with_points(self, points: Iterable[Mapping[str, Scalar | None]]) -> Sweep:
        """A search of which these points were drawn: its cells. A point that is no recipe is left out."""
        chosen = (point for point in points if self.search and self._is_recipe(point))
        known = [{name: value for name, value in point.items() if value is not None} for point in chosen]
        return replace(self, drawn=tuple(known)) if known else self

    def _is_recipe(self, point: Mapping[str, Scalar | None]) -> bool:
        try:
            return not self.is_baseline(self.recipe(point))
        except UserError:
            return False

    def _condition(self, rule: Rule) -> Callable[[Mapping[str, Any]], bool]:
        """One entry of ``exclude``. A condition is about the choices as they are written, before they are a recipe."""
        if isinstance(rule, dict):
            return lambda choices: agrees(choices, rule)
        try:
            condition = Expression.parse(rule, self.parameters)
            condition.holds({name: values[0] for name, values in self.parameters.items()})
        except UserError as error:
            raise UserError(f"exclude: {error}") from None
        return condition.holds

    def recipe(self, point: Mapping[str, Scalar | None]) -> Recipe:
        """The experiment at ``point``: the swept values joined with the fixed ones."""
        fixed = {name: values[0] for name, values in self.parameters.items()}
        return make(fixed | dict(point))

    def is_baseline(self, recipe: Recipe) -> bool:
        """Whether the cell is the one that others are compared with."""
        return bool(self.baseline) and agrees(recipe.model_dump(), self.baseline)

    @property
    def size(self) -> int:
        """How many cells there are; of a search, how many there will be."""
        return len(self.cells) + (self.search.run_cap - len(self.drawn) if self.search else 0)

    def offer(self, name: str) -> str:
        """What a swept parameter may be, for people: ``0, 1, 10`` or ``1 … 10000 (log)``."""
        if self.search and name in self.search.ranges:
            return str(self.search.ranges[name])
        return ", ".join(map(str, self.parameters[name]))

    def example(self, name: str) -> Scalar:
        """One value that a swept parameter may have."""
        return self.search.ranges[name].max if self.search and name in self.search.ranges else self.parameters[name][-1]

    def definition(self) -> dict[str, Any]:
        """The sweep as JSON, for a backend to keep: agents need no file."""
        searched = {"search": self.search.definition()} if self.search else {}
        return {
            "name": self.name, "profile": self.profile, "title": self.title, "paper": self.paper,
            "axis": list(self.axis), "baseline": self.baseline, "exclude": list(self.exclude),
            "max_attempts": self.max_attempts,
            "parameters": {name: list(values) for name, values in self.parameters.items()},
            "pictures": list(self.pictures), **searched,
        }  # fmt: skip

    @classmethod
    def from_definition(cls, definition: Mapping[str, Any]) -> Sweep:
        """The sweep that ``definition()`` described.

        Raises:
            UserError: it was written by another version of ddsweep.
        """
        try:
            values = {name: tuple(values) for name, values in definition["parameters"].items()}
            tuples = {
                field: tuple(definition[field]) for field in ("axis", "exclude", "pictures") if field in definition
            }
            search = Search.from_definition(definition["search"]) if "search" in definition else None
            return cls(**{**definition, **tuples, "parameters": values, "search": search})
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"the registered sweep was written by another version of ddsweep ({error})") from None


def agrees(choices: Mapping[str, Any], rule: Mapping[str, Scalar]) -> bool:
    """Whether ``choices`` has every value of ``rule``."""
    return all(name in choices and choices[name] == value for name, value in rule.items())
