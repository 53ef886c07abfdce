"""The paper's names for what a recipe calls otherwise: α, N_m, IPC, CIFAR-10, ConvNet-3.

Tables for people and figures use them. Files for scripts keep the names of the recipe, which ``--set`` and ``--where``
take.
"""

from __future__ import annotations

from ddsweep.registry.datasets import paper_name as dataset
from ddsweep.registry.methods import METHODS
from ddsweep.registry.networks import FOUNDATIONS, paper_name

FIELDS = {
    "alpha": "α", "alpha_by_arch": "α by architecture", "n_models": "N_m", "n_archs": "N_a", "ipc": "IPC",
    "ptm_epoch": "PTM epoch", "archs": "PTMs", "arch": "network", "regularizer": "loss", "eval_archs": "evaluated",
    "ptm_epochs": "PTM epochs",
}  # fmt: skip
LOSSES = {"none": "none", "clom": "CLoM", "cclom": "CCLoM"}
SPOKEN = ("method", "target", "source")  # fields whose values say what they are: no name goes before them


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
    if name in ("archs", "arch", "eval_archs", "eval_arch"):
        return ", ".join(network(part) for part in text.split("+"))
    return text


def network(name: str) -> str:
    """An architecture."""
    return paper_name(name)


def label(axis: str, text: str) -> str:
    """A column of a table whose ``axis`` may be several fields: ``4 × ConvNet-3``; ``baseline`` stays itself."""
    names, parts = axis.split(" × "), text.split(" × ")
    if len(names) != len(parts):
        return text
    return " × ".join(value(name, part) for name, part in zip(names, parts, strict=True))
