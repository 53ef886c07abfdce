"""The paper's names for the fields and values of a recipe: α, N_m, IPC, CIFAR-10, ConvNet-3.

Displayed tables and figures use them. Files for scripts keep the names of the recipe, which ``--set`` and ``--where``
accept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

from ddsweep.recipe import Recipe
from ddsweep.recipe.absent import remembered
from ddsweep.registry.datasets import paper_name as dataset
from ddsweep.registry.guidance import paper_name as guidance
from ddsweep.registry.methods import METHODS
from ddsweep.registry.networks import paper_name
from ddsweep.registry.ptms import domain
from ddsweep.registry.rules import paper_name as rule
from ddsweep.sweep import Sweep

FIELDS = {
    "alpha": "α", "alpha_by_arch": "α by architecture", "n_models": "N_m", "n_archs": "N_a", "ipc": "IPC",
    "ptm_epoch": "PTM epoch", "ptm_archs": "PTMs", "arch": "network", "regularizer": "loss", "eval_archs": "evaluated",
    "ptm_train_epochs": "PTM epochs",
}  # fmt: skip
SPOKEN = ("method", "target", "source")  # fields whose values are clear without the name of the field
BASELINE = "baseline"
DIGITS = 6  # significant digits of a number, if they tell the values of a table apart
EMPTY = "–"  # stands for a setting without a value
WHOLE = 1e9  # whole numbers below it are written in full


def field(name: str) -> str:
    """A field, or several joined by ``×``, as the paper calls it."""
    return " × ".join(FIELDS.get(part, part.replace("_", " ")) for part in name.split(" × "))


def value(name: str, text: str) -> str:
    """The value of a field, as the paper writes it; a label of several axes part by part."""
    if name == "method":
        return METHODS.rows[text].paper if text in METHODS.rows else remembered("method", text) or text.upper()
    if name == "regularizer":
        return remembered("guidance", text) or guidance(text)
    if name == "eval_rule":
        return remembered("evaluation", text) or rule(text)
    if name in ("target", "source"):
        return remembered("PTM", text) or domain(text) or remembered("dataset", text) or dataset(text)
    if name in ("ptm_archs", "arch", "eval_archs", "eval_arch"):
        return ", ".join(network(part) for part in text.split("+"))
    return text


def texts(values: Iterable[Any]) -> dict[Any, str]:
    """The text of each value of one field: a different one for every distinct value.

    Numbers have six significant digits if that gives different texts, otherwise the fewest digits that read back as the
    same number. Whole numbers below a billion are always written in full.
    """
    distinct = list(dict.fromkeys(values))
    short = {one: _text(one, DIGITS) for one in distinct}
    return short if len(set(short.values())) == len(distinct) else {one: _text(one) for one in distinct}


def exactly(one: Any) -> str:
    """A value with the fewest digits that read back as the same number, as ``--set`` takes it."""
    return _text(one)


def _text(one: Any, digits: int | None = None) -> str:
    """A value with the given significant digits, or with the fewest that read back as the same number."""
    if isinstance(one, bool):
        return str(one).lower()
    if one is None:  # the option of another method
        return EMPTY
    if not isinstance(one, float):
        return str(one) or EMPTY
    if one.is_integer() and abs(one) < WHOLE:
        return str(int(one))
    return f"{one:.{digits}g}" if digits else repr(one).removesuffix(".0")


@dataclass(frozen=True)
class Labels:
    """How the values of a table are written, in all its rows, columns and figures.

    Attributes:
        known: for every field, the text of each of its values in the table (``texts``).
    """

    known: Mapping[str, Mapping[Any, str]] = attribute(default_factory=dict)

    @classmethod
    def of(cls, recipes: Iterable[Recipe], fields: Iterable[str] = tuple(Recipe.model_fields)) -> Labels:
        """The labels of the values that some recipes have."""
        every = list(recipes)
        names = dict.fromkeys((*fields, *(name for recipe in every for name in recipe.option_names)))
        return cls({name: texts(shown(recipe, name) for recipe in every) for name in names})

    @classmethod
    def of_sweep(cls, sweep: Sweep) -> Labels:
        """The labels of the values that the cells of a sweep have."""
        return cls.of(cell.recipe for cell in sweep.cells)

    def text(self, name: str, one: Any) -> str:
        """A value of a field, as the recipe writes it."""
        return self.known.get(name, {}).get(one) or texts([one])[one]

    def paper(self, name: str, one: Any) -> str:
        """A value of a field, as the paper writes it; as the recipe does if another value has the same name there."""
        own = self.text(name, one)
        named = Counter(value(name, text) for text in self.known.get(name, {}).values())
        return own if named[value(name, own)] > 1 else value(name, own)


def shown(recipe: Recipe, name: str) -> Any:
    """The value of a field that tables show: the dataset that ``source: target`` stands for."""
    if name == "source":
        return recipe.source_dataset
    found = recipe.value(name)
    return "" if found is None else found  # the option of another method


def setting(values: Mapping[str, Any], *, as_paper: bool = True, labels: Labels = Labels()) -> str:
    """Several fields: ``DM · IPC 10``. A value that explains itself goes without the name of its field.

    Args:
        values: the fields.
        as_paper: write the values as the paper does; otherwise as the recipe does (``dm · IPC 10``).
        labels: of the table that the setting is part of.
    """
    write = labels.paper if as_paper else labels.text
    parts = {name: write(name, one) for name, one in values.items()}
    return " · ".join(text if name in SPOKEN else f"{field(name)} {text}" for name, text in parts.items())


def network(name: str) -> str:
    """An architecture."""
    return remembered("network", name) or paper_name(name)


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


def column_label(sweep: Sweep, recipe: Recipe, labels: Labels | None = None) -> str:
    """The values of the axis as text; ``baseline`` for a baseline that has no value on the axis.

    Args:
        sweep: whose axis it is.
        recipe: of a cell.
        labels: of the table; default: those of the sweep.
    """
    if sweep.is_baseline(recipe) and not set(sweep.axis) <= set(sweep.baseline):
        return BASELINE
    labels = labels or of_columns(sweep, (cell.recipe for cell in sweep.cells), sweep.axis)
    return axis_label(sweep.axis, recipe, labels)


def axis_label(axes: Iterable[str], recipe: Recipe, labels: Labels) -> str:
    """The values of the axis as text, joined by ``×``."""
    return " × ".join(labels.text(name, shown(recipe, name)) for name in axes)


def of_columns(sweep: Sweep, recipes: Iterable[Recipe], fields: Iterable[str]) -> Labels:
    """The labels of a table; a set of architectures on its axis may be written as its size (``axis``)."""
    labels = Labels.of(recipes, fields)
    if not _counted(sweep):
        return labels
    counts = {archs: str(len(archs.split("+"))) if archs else "0" for archs in labels.known["ptm_archs"]}
    return Labels({**labels.known, "ptm_archs": counts})


def axis_value(recipe: Recipe, name: str, labels: Labels = Labels()) -> str:
    """The value of a field as text."""
    return labels.text(name, shown(recipe, name))


def _counted(sweep: Sweep) -> bool:
    """With another axis, a set of architectures is written as its size N_a if all sizes differ."""
    sets = {cell.recipe.ptm_archs for cell in sweep.cells if cell.recipe.ptm_archs}
    return len(sweep.axis) > 1 and "ptm_archs" in sweep.axis and len(sets) == len({len(one.split("+")) for one in sets})


def notes(sweep: Sweep) -> tuple[str, ...]:
    """The meaning of abbreviated labels."""
    sets = {cell.recipe.ptm_archs: cell.recipe.n_archs for cell in sweep.cells if cell.recipe.ptm_archs}
    return tuple(f"N_a {count}: {archs}" for archs, count in sets.items()) if _counted(sweep) else ()
