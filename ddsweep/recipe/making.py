"""From choices of any origin to a recipe, or to the one line that says what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from ddsweep.errors import UserError, closest
from ddsweep.recipe.fields import Recipe
from ddsweep.registry.methods import LOOPS

RENAMED = {"archs": "ptm_archs", "ptm_epochs": "ptm_train_epochs"}
"""Fields of the first drafts of ddsweep, by their present names."""


def unknown_parameter(field: str, allowed: Iterable[str] | None = None) -> str:
    """The error line for a name that is not a field of a recipe: its new name, or the closest ones.

    Args:
        field: the unknown name.
        allowed: the names to choose from; default: the fields of a recipe.
    """
    if field in RENAMED:
        return f"{field}: renamed to {RENAMED[field]}"
    return f"{field}: unknown parameter; {closest(field, Recipe.model_fields if allowed is None else allowed)}"


def make(choices: dict[str, Any]) -> Recipe:
    """A recipe from choices of any origin; what is not chosen takes its default.

    Raises:
        UserError: an unknown field, a value of the wrong type or out of range, or choices that contradict each other.
    """
    for field in choices:
        if field not in Recipe.model_fields:
            raise UserError(unknown_parameter(field))
    try:
        return Recipe(**choices)
    except ValidationError as error:
        raise UserError(_one_line(error)) from None


def _one_line(error: ValidationError) -> str:
    """The first complaint of pydantic, in our words: the field, what it got, what is allowed."""
    complaints = error.errors(include_url=False)
    # a wrong ipc or target also leaves the defaults that depend on it unset: name the cause
    first = next((one for one in complaints if one["input"] is not None), complaints[0])
    field, got, kind = ".".join(str(part) for part in first["loc"]), first["input"], first["type"]
    if got is None and field in ("outer_loops", "inner_epochs"):
        known = ", ".join(map(str, LOOPS))
        return f"{field}: has no published default for this ipc (known: {known}); set outer_loops and inner_epochs"
    if got is None and field == "alpha":
        return "alpha: the method has no published default; set it (0: no guidance)"
    if kind in ("float_type", "int_type") and isinstance(got, str):
        number = "a whole number" if kind == "int_type" else "a number"
        return f"{field}: {got!r} is text, not {number}{_spelling(got)}"
    return f"{field}: {got!r} is not allowed; {first['msg'][0].lower()}{first['msg'][1:]}"


def _spelling(got: str) -> str:
    """YAML reads 1e-3 as text: say how to write it."""
    try:
        value = float(got)
    except ValueError:
        return ""
    return f"; write {value!r}" if "e" not in repr(value) else f"; write {value:.1e}"
