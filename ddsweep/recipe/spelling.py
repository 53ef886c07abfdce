"""α by architecture, as a recipe spells it: ``alexnet:100+convnet3:5000``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ddsweep import data
from ddsweep.errors import UserError, closest
from ddsweep.registry import networks
from ddsweep.registry.datasets import FOLDER_PREFIX, TABLE
from ddsweep.registry.networks import FOUNDATIONS

Scalar = bool | int | float | str
TRUTH = {"true": True, "false": False}
KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number"}


def parse_alphas(text: Any) -> dict[str, float] | None:
    """α of each architecture that is named; None for what is no text (the type check says so) or says nothing.

    Raises:
        UserError: an unknown architecture, one named twice, or a number that is none, negative or infinite.
    """
    if not isinstance(text, str) or not text:
        return None
    found: dict[str, float] = {}
    for part in text.split("+"):
        arch, _, number = part.partition(":")
        if arch not in networks.PUBLISHED and arch not in networks.TABLE:
            raise UserError(f"alpha_by_arch: unknown network {arch!r}; {closest(arch, networks.all_names())}")
        if arch in found:
            raise UserError(f"alpha_by_arch: {arch} is named twice")
        found[arch] = _alpha(arch, number)
    return found


def _alpha(arch: str, text: str) -> float:
    try:
        alpha = float(text)
    except ValueError:
        alpha = math.nan
    if not 0 <= alpha < math.inf:
        raise UserError(f"alpha_by_arch: {text!r} is no weight for {arch}; write ARCH:NUMBER, at least 0, joined by +")
    return alpha


def spell_alphas(by_arch: dict[str, float]) -> str:
    """The one spelling: in the order of the table, the shortest digits that read as the same number."""
    return "+".join(f"{arch}:{_digits(by_arch[arch])}" for arch in sorted(by_arch, key=networks.place))


def _digits(alpha: float) -> str:
    """``100`` and not ``100.0``; never a plus sign, which joins the entries."""
    return repr(alpha).removesuffix(".0").replace("e+", "e")


def parse_options(text: str, declared: Mapping[str, Scalar]) -> dict[str, Scalar]:
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


def spell_options(values: Mapping[str, Scalar]) -> str:
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


def canonical_source(source: Any, target: str) -> Any:
    """The source under its one name: ``target`` for the dataset being distilled; what is no text is left as it is.

    Raises:
        UserError: neither a dataset nor the source of a foundation model.
    """
    if not source:
        return "target"
    if not isinstance(source, str) or source == "target" or source in FOUNDATIONS:
        return source
    if not source.startswith(FOLDER_PREFIX):
        TABLE.take(source, "source", also=[*FOUNDATIONS, "target", "imagefolder:PATH"])
    name = data.info(source).name
    return "target" if name == target else name
