"""Make a recipe from choices of any origin, or raise a one-line error."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, get_args

from pydantic import ValidationError

from ddsweep.errors import UserError, closest
from ddsweep.recipe import absent, by_name
from ddsweep.recipe.by_name import RENAMED as RENAMED
from ddsweep.recipe.fields import Recipe
from ddsweep.registry.methods import LOOPS


def unknown_parameter(field: str, allowed: Iterable[str] | None = None) -> str:
    """The error for a name that is not a recipe field, with its present name or the closest one.

    Args:
        field: the unknown name.
        allowed: the known names; default: the recipe fields.
    """
    if field in RENAMED:
        return f"{field}: renamed to {RENAMED[field]}"
    return f"{field}: unknown parameter; {closest(field, Recipe.model_fields if allowed is None else allowed)}"


def make(choices: Mapping[str, Any], among: Collection[str] = ()) -> Recipe:
    """Make a recipe; fields that are not in ``choices`` get their defaults.

    Args:
        choices: values of fields, and of options of the method by name.
        among: the methods and guidances of the sweep that it is part of: an option of one has no effect on the others.

    Raises:
        UserError: a field is unknown, a value has the wrong type or is out of range, or choices contradict each other.
    """
    try:
        return Recipe(**by_name.folded(choices, Recipe.model_fields, among))
    except ValidationError as error:
        raise UserError(_one_line(error)) from None


def stored(fields: Mapping[str, Any]) -> Recipe:
    """A recipe as it was written (``Recipe.stored``).

    Raises:
        UserError: a field is missing or unknown, or has the wrong type.
    """
    if not isinstance(fields, Mapping):
        raise UserError(f"recipe: {fields!r} is not a mapping of fields")
    if fields.get("plugins"):
        absent.load()
    try:
        return Recipe.stored(fields)
    except ValidationError as error:
        raise UserError(_one_line(error)) from None


def _one_line(error: ValidationError) -> str:
    """The first of pydantic's errors as one line: the field, its value, what is allowed."""
    errors = error.errors(include_url=False)
    # an invalid ipc or target also leaves the defaults that depend on it unset: name the cause
    first = next((item for item in errors if item["input"] is not None), errors[0])
    field, value, kind = ".".join(str(part) for part in first["loc"]), first["input"], first["type"]
    if value is None and field in ("outer_loops", "inner_epochs"):
        known = ", ".join(map(str, LOOPS))
        return f"{field}: has no published default for this ipc (known: {known}); set outer_loops and inner_epochs"
    if value is None and field == "alpha":
        return "alpha: has no default for this method and guidance; set it (0: no guidance)"
    if kind == "extra_forbidden":
        return unknown_parameter(field)
    if kind in ("float_type", "int_type") and isinstance(value, str):
        number = "a whole number" if kind == "int_type" else "a number"
        return f"{field}: {value!r} is text, not {number}{_number_hint(value)}"
    if kind == "literal_error":
        allowed = get_args(Recipe.model_fields[field].annotation)
        return f"{field}: unknown value {value!r}; {closest(str(value), allowed)}"
    return f"{field}: {value!r} is not allowed; {first['msg'][0].lower()}{first['msg'][1:]}"


def _number_hint(text: str) -> str:
    """How to write a number that YAML reads as text, such as 1e-3."""
    try:
        value = float(text)
    except ValueError:
        return ""
    return f"; write {value!r}" if "e" not in repr(value) else f"; write {value:.1e}"
