"""The recipes of a registered sweep as they were made at its launch.

A recipe with a plugin has defaults and options that the plugin declares. They may be others later, or the plugin may be
missing; results are read with the recipes that were registered. Sweeps of ddsweep's own parts only do not store them:
they are made of the choices again, because their keys never change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, stored
from ddsweep.recipe.defaults import NEUTRAL
from ddsweep.registry.guidance import NONE
from ddsweep.registry.methods import TAKEN

Choices = Mapping[str, Any]
Identity = frozenset[tuple[str, bool, Any]]
Made = Mapping[Identity, Recipe]
"""Recipes by the choices that led to them (``identity``)."""


def identity(choices: Choices) -> Identity:
    """Choices as a key: 1 and 1.0 are the same, 1 and true are not; None is no choice."""
    return frozenset((name, isinstance(one, bool), one) for name, one in choices.items() if one is not None)


def found(made: Made, choices: Choices) -> Recipe | None:
    """The recipe that was registered for these choices; None if none was."""
    return made.get(identity(choices)) if made else None


def written(recipes: Sequence[Recipe]) -> dict[str, Any]:
    """The recipes of all choices of a sweep, in their order, for its definition; empty if there are none.

    Returns:
        The fields of the first one (``common``), of each one those that differ (``cells``), and for each of the
        choices the place of its recipe there (``order``).
    """
    kept = {recipe.key(): recipe.model_dump() for recipe in recipes}
    if not kept:
        return {}
    common, places = next(iter(kept.values())), {key: place for place, key in enumerate(kept)}
    cells = [{name: one for name, one in fields.items() if one != common[name]} for fields in kept.values()]
    order = [places[recipe.key()] for recipe in recipes]
    return {"recipes": {"common": common, "cells": cells, "order": order}}


def read(document: Mapping[str, Any], choices: Iterable[Choices]) -> Made:
    """What ``written`` wrote for these choices.

    Raises:
        KeyError, TypeError, ValueError, UserError: it was not written by this version, or not for these choices.
    """
    recipes = [stored(document["common"] | cell) for cell in document["cells"]]
    pairs = zip(choices, document["order"], strict=True)
    return {identity(one): recipes[place] for one, place in pairs}


def changed(recipe: Recipe, changes: Choices) -> str:
    """The key of a recipe with other values of fields, as far as that can be known without its plugin.

    Fields that have no effect in the recipe keep their values: those of its guidance if it has none, and those that its
    method does not take. Empty if a value is not allowed, or an option is changed.
    """
    fields = recipe.model_dump()
    unused = {name for name, neutral in TAKEN.items() if fields[name] == neutral}
    if any(name not in fields and recipe.value(name) is not None for name in changes):
        return ""
    fields |= {name: one for name, one in changes.items() if name in fields and name not in unused}
    try:
        return restated(fields).key()
    except UserError:
        return ""


def restated(fields: Choices) -> Recipe:
    """The recipe with these fields, without the settings of a guidance that it does not have.

    Raises:
        UserError: a field is missing or unknown, or has the wrong type.
    """
    alone = fields.get("regularizer") == NONE or fields.get("alpha") == 0
    return stored({**fields, **(NEUTRAL if alone else {})})
