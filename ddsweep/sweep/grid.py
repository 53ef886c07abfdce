"""A sweep as plain values, and its cells."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ddsweep.errors import UserError
from ddsweep.expression import Expression
from ddsweep.recipe import Recipe, make
from ddsweep.sweep.document import Picture, Rule, Scalar


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

    @property
    def full_name(self) -> str:
        """``NAME@PROFILE``: what a launched sweep is known by."""
        return f"{self.name}@{self.profile}"

    @property
    def swept(self) -> tuple[str, ...]:
        """The parameters that vary, in the order of the file; those of the axis even where one value is left."""
        return tuple(name for name, values in self.parameters.items() if len(values) > 1 or name in self.axis)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every distinct experiment. Points that are the same experiment (the baseline at each N_m) are one cell.

        Raises:
            UserError: a cell is no valid recipe; the line names the field.
        """
        found: dict[str, Cell] = {}
        rules = [self._condition(rule) for rule in self.exclude]
        for values in itertools.product(*self.parameters.values()):
            choices = dict(zip(self.parameters, values, strict=True))
            if any(leaves_out(choices) for leaves_out in rules):
                continue
            recipe = make(choices)
            key = recipe.key()
            if key not in found:
                point = {name: getattr(recipe, name) for name in self.swept}
                if self.recipe(point).key() != key:  # a swept choice went over into a fixed one: one α for every PTM
                    point = {name: choices[name] for name in self.swept}
                found[key] = Cell(point, recipe, key)
        if not found:
            raise UserError(f"exclude: leaves no cell of {self.name}")
        return tuple(found.values())

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

    def definition(self) -> dict[str, Any]:
        """The sweep as JSON, for a backend to keep: agents need no file."""
        return {
            "name": self.name, "profile": self.profile, "title": self.title, "paper": self.paper,
            "axis": list(self.axis), "baseline": self.baseline, "exclude": list(self.exclude),
            "max_attempts": self.max_attempts,
            "parameters": {name: list(values) for name, values in self.parameters.items()},
            "pictures": list(self.pictures),
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
            return cls(**{**definition, **tuples, "parameters": values})
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"the registered sweep was written by another version of ddsweep ({error})") from None


def agrees(choices: Mapping[str, Any], rule: Mapping[str, Scalar]) -> bool:
    """Whether ``choices`` has every value of ``rule``."""
    return all(name in choices and choices[name] == value for name, value in rule.items())
