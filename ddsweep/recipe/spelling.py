"""The text of fields that hold several values, parsed and in its canonical spelling; and the canonical source.

``alpha_by_arch`` is ``alexnet:100+convnet3:5000``, ``options`` are ``steps:5+temperature:0.5``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ddsweep import data
from ddsweep.errors import UserError, closest
from ddsweep.registry import networks, ptms
from ddsweep.registry.datasets import FOLDER_PREFIX, TABLE

Scalar = bool | int | float | str
TRUTH = {"true": True, "false": False}
KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number"}


def parse_alphas(text: Any) -> dict[str, float] | None:
    """α by architecture; None for an empty text, and for a value that is not a string, which the type check reports.

    Raises:
        UserError: an architecture is unknown or listed twice, or its α is not a finite number of at least 0.
    """
    if not isinstance(text, str) or not text:
        return None
    alphas: dict[str, float] = {}
    for part in text.split("+"):
        arch, _, number = part.partition(":")
        # looking into the table of networks may load plugins, which may have PTMs
        if not (ptms.by_network(arch) or arch in networks.TABLE or ptms.by_network(arch)):
            raise UserError(f"alpha_by_arch: unknown network {arch!r}; {closest(arch, networks.all_names())}")
        if arch in alphas:
            raise UserError(f"alpha_by_arch: {arch} is listed twice")
        alphas[arch] = _alpha(arch, number)
    return alphas


def _alpha(arch: str, text: str) -> float:
    try:
        alpha = float(text)
    except ValueError:
        alpha = math.nan
    if not 0 <= alpha < math.inf:
        raise UserError(
            f"alpha_by_arch: invalid weight {text!r} for {arch}; write ARCH:NUMBER, at least 0, joined by +"
        )
    return alpha


def spell_alphas(by_arch: dict[str, float]) -> str:
    """The canonical spelling: in the order of the table, with the fewest digits that give the same number."""
    return "+".join(f"{arch}:{_digits(by_arch[arch])}" for arch in sorted(by_arch, key=networks.place))


def _digits(alpha: float) -> str:
    """``100`` instead of ``100.0``, without a plus sign, which separates the entries."""
    return repr(alpha).removesuffix(".0").replace("e+", "e")


def parse_options(text: str, declared: Mapping[str, Scalar], field: str = "options") -> dict[str, Scalar]:
    """The values of all options of a method or a guidance; those that are not in ``text`` have their defaults.

    Args:
        text: the value of ``field``.
        declared: the options with their defaults.
        field: ``options``, or ``guidance_options``.

    Raises:
        UserError: there is no such option, or an option is listed twice or has a value of the wrong type.
    """
    owner = "guidance" if field == "guidance_options" else "method"
    values: dict[str, Scalar] = {}
    for part in text.split("+") if text else ():
        name, colon, value = part.partition(":")
        if name not in declared:
            raise UserError(f"{field}: the {owner} has no option {name!r}; {closest(name, declared)}")
        if not colon or name in values:
            raise UserError(f"{field}: {part!r}: write NAME:VALUE, each name once, joined by +")
        values[name] = _typed(field, name, value, declared[name])
    return {**declared, **values}


def spell_options(values: Mapping[str, Scalar]) -> str:
    """The canonical spelling: sorted by name, with the fewest digits that give the same number, without a plus sign."""
    return "+".join(f"{name}:{_text(values[name])}" for name in sorted(values))


def _typed(field: str, name: str, text: str, default: Scalar) -> Scalar:
    try:
        if isinstance(default, bool):
            return TRUTH[text.lower()]
        value = type(default)(text)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError
        return value
    except (ValueError, KeyError):
        raise UserError(f"{field}: {name} must be {KINDS[type(default)]}, not {text!r}") from None


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace("e+", "e")


def canonical_source(source: Any, target: str) -> Any:
    """The canonical name of a source: ``target`` for the dataset being distilled. Only strings are changed.

    Raises:
        UserError: the source is neither a dataset nor that of a published model.
    """
    if not source:
        return "target"
    if not isinstance(source, str) or source == "target" or ptms.find(source):
        return source
    if not (source.startswith(FOLDER_PREFIX) or data.is_biased(source)):
        TABLE.take(source, "source", also=[*ptms.PTMS, "target", "imagefolder:PATH"])
    name = data.facts(source).name
    return "target" if name == target else name
