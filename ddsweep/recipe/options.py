"""A method's own numbers, as a recipe spells them: ``steps:5+temperature:0.5``."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ddsweep.errors import UserError, closest

Scalar = bool | int | float | str
TRUTH = {"true": True, "false": False}
KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number"}


def parse(text: str, declared: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The value of every option that the method declares, those that are not named with their defaults.

    Raises:
        UserError: an option that the method does not have, one named twice, or a value of another type.
    """
    given: dict[str, Scalar] = {}
    for part in text.split("+") if text else ():
        name, colon, value = part.partition(":")
        if name not in declared:
            raise UserError(f"options: the method has no option {name!r}; {closest(name, declared)}")
        if not colon or name in given:
            raise UserError(f"options: {part!r}: write NAME:VALUE, each name once, joined by +")
        given[name] = _typed(name, value, declared[name])
    return {**declared, **given}


def spell(values: Mapping[str, Scalar]) -> str:
    """The one spelling: by name, the shortest digits that read as the same number; never a plus sign in them."""
    return "+".join(f"{name}:{_text(values[name])}" for name in sorted(values))


def _typed(name: str, text: str, like: Scalar) -> Scalar:
    try:
        if isinstance(like, bool):
            return TRUTH[text.lower()]
        value = type(like)(text)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError
        return value
    except (ValueError, KeyError):
        raise UserError(f"options: {text!r} is not {KINDS[type(like)]}, as {name} has to be") from None


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace("e+", "e")
