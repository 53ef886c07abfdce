"""α by architecture, as a recipe spells it: ``alexnet:100+convnet3:5000``."""

from __future__ import annotations

import math
from typing import Any

from ddsweep.errors import UserError, closest
from ddsweep.nn import table


def parse(text: Any) -> dict[str, float] | None:
    """α of each architecture that is named; None for what is no text (the type check says so) or says nothing.

    Raises:
        UserError: an unknown architecture, one named twice, or a number that is none, negative or infinite.
    """
    if not isinstance(text, str) or not text:
        return None
    found: dict[str, float] = {}
    for part in text.split("+"):
        arch, _, number = part.partition(":")
        if arch not in table.PUBLISHED and arch not in table.TABLE:
            raise UserError(f"alpha_by_arch: unknown network {arch!r}; {closest(arch, table.all_names())}")
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


def spell(by_arch: dict[str, float]) -> str:
    """The one spelling: in the order of the table, the shortest digits that read as the same number."""
    return "+".join(f"{arch}:{_digits(by_arch[arch])}" for arch in sorted(by_arch, key=table.place))


def _digits(alpha: float) -> str:
    """``100`` and not ``100.0``; never a plus sign, which joins the entries."""
    return repr(alpha).removesuffix(".0").replace("e+", "e")
