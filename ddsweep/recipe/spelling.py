"""The text of fields that hold several values, parsed and in its canonical spelling; and the canonical source.

``alpha_by_arch`` is ``alexnet:100+convnet3:5000``; of ``options`` see ``registry.options``.
"""

from __future__ import annotations

import math
from typing import Any

from ddsweep import data
from ddsweep.errors import UserError, closest
from ddsweep.registry import networks, ptms
from ddsweep.registry.datasets import FOLDER_PREFIX, TABLE


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


def canonical_source(source: Any, target: str) -> Any:
    """The canonical name of a source: ``target`` for the dataset being distilled. Only strings are changed.

    Raises:
        UserError: the source is neither a dataset nor that of a published model.
    """
    if not source:
        return "target"
    if not isinstance(source, str) or source == "target" or ptms.find(source):
        return source
    if not (source in TABLE or source.startswith(FOLDER_PREFIX) or data.is_biased(source)):
        TABLE.take(source, "source", also=[*ptms.PTMS, "target", "imagefolder:PATH"])
    name = data.facts(source).name
    return "target" if name == target else name
