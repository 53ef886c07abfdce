"""The paper's names for the fields and values of a recipe: α, N_m, IPC, CIFAR-10, ConvNet-3.

Displayed tables and figures use them. Files for scripts keep the names of the recipe, which ``--set`` and ``--where``
accept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ddsweep.recipe import Recipe
from ddsweep.registry.datasets import paper_name as dataset
from ddsweep.registry.methods import METHODS
from ddsweep.registry.networks import FOUNDATIONS, paper_name
from ddsweep.sweep import Sweep

FIELDS = {
    "alpha": "α", "alpha_by_arch": "α by architecture", "n_models": "N_m", "n_archs": "N_a", "ipc": "IPC",
    "ptm_epoch": "PTM epoch", "ptm_archs": "PTMs", "arch": "network", "regularizer": "loss", "eval_archs": "evaluated",
    "ptm_train_epochs": "PTM epochs",
}  # fmt: skip
LOSSES = {"none": "none", "clom": "CLoM", "cclom": "CCLoM"}
SPOKEN = ("method", "target", "source")  # fields whose values are clear without the name of the field
BASELINE = "baseline"


def field(name: str) -> str:
    """A field, or several joined by ``×``, as the paper calls it."""
    return " × ".join(FIELDS.get(part, part.replace("_", " ")) for part in name.split(" × "))


def value(name: str, text: str) -> str:
    """The value of a field, as the paper writes it; a label of several axes part by part."""
    if name == "method":
        return METHODS.rows[text].paper if text in METHODS.rows else text.upper()
    if name == "regularizer":
        return LOSSES.get(text, text)
    if name in ("target", "source"):
        return FOUNDATIONS[text].domain if text in FOUNDATIONS else dataset(text)
    if name in ("ptm_archs", "arch", "eval_archs", "eval_arch"):
        return ", ".join(network(part) for part in text.split("+"))
    return text


def setting(values: Mapping[str, Any], *, as_paper: bool = True) -> str:
    """Several fields: ``DM · IPC 10``. A value that explains itself goes without the name of its field.

    Args:
        values: the fields.
        as_paper: write the values as the paper does; otherwise as the recipe does (``dm · IPC 10``).
    """
    texts = {name: f"{one:g}" if isinstance(one, float) else str(one) for name, one in values.items()}
    if as_paper:
        texts = {name: value(name, text) for name, text in texts.items()}
    return " · ".join(text if name in SPOKEN else f"{field(name)} {text}" for name, text in texts.items())


def network(name: str) -> str:
    """An architecture."""
    return paper_name(name)


def label(axis: str, text: str) -> str:
    """A column of a table whose ``axis`` may be several fields: ``4 × ConvNet-3``; ``baseline`` stays itself."""
    names, parts = axis.split(" × "), text.split(" × ")
    if len(names) != len(parts):
        return text
    return " × ".join(value(name, part) for name, part in zip(names, parts, strict=True))


def axis(sweep: Sweep) -> str:
    """The parameters of the columns, joined by ``×``."""
    counted = _counted(sweep)
    return " × ".join("n_archs" if name == "ptm_archs" and counted else name for name in sweep.axis)


def column_label(sweep: Sweep, recipe: Recipe) -> str:
    """The values of the axis as text; ``baseline`` for a baseline that has no value on the axis."""
    if sweep.is_baseline(recipe) and not set(sweep.axis) <= set(sweep.baseline):
        return BASELINE
    counted = _counted(sweep)
    return " × ".join(
        str(recipe.n_archs) if name == "ptm_archs" and counted else axis_value(recipe, name) for name in sweep.axis
    )


def axis_value(recipe: Recipe, name: str) -> str:
    """The value of a field as text."""
    value = recipe.source_dataset if name == "source" else getattr(recipe, name)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _counted(sweep: Sweep) -> bool:
    """With another axis, a set of architectures is written as its size N_a if all sizes differ."""
    sets = {cell.recipe.ptm_archs for cell in sweep.cells if not sweep.is_baseline(cell.recipe)}
    return len(sweep.axis) > 1 and "ptm_archs" in sweep.axis and len(sets) == len({len(one.split("+")) for one in sets})


def notes(sweep: Sweep) -> tuple[str, ...]:
    """The meaning of abbreviated labels."""
    sets = {cell.recipe.ptm_archs: cell.recipe.n_archs for cell in sweep.cells if cell.recipe.ptm_archs}
    return tuple(f"N_a {count}: {archs}" for archs, count in sets.items()) if _counted(sweep) else ()
