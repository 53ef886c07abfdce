"""The paper's numbers (``paper.csv``: Tables 1 to 5 and A1, and Sec. 5.2 on Fig. 2), found by recipe.

A number belongs to a recipe if the table that prints it and the recipe agree in what the table names: target, source,
method, regularizer, N_m, the set of architectures, the epoch of the PTMs, IPC and the evaluated architecture. What a
table does not name (steps, learning rates, α) is taken from ``twin``: the same experiment with the paper's settings.

Two of the paper's names for an epoch are not numbers. *Well-trained* is the last epoch, 150; in a study whose PTMs are
trained for fewer epochs it is their last epoch. *Sub-optimal* is the best epoch of Fig. 2; the text gives it only for
DSA (4), so 4 is used for every method.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, make
from ddsweep.registry.methods import METHODS
from ddsweep.registry.networks import paper_name

LAST, SUB_OPTIMAL = -1, 4
NAMED = ("target", "source", "method", "regularizer", "n_models", "ptm_archs", "ptm_epoch", "ipc")
MARKS = {
    "?": "what the paper prints here could not be read with certainty (--format json has the notes)",
    "*": f"sub-optimal PTMs, whose epoch the paper does not print for this method; epoch {SUB_OPTIMAL} is DSA's",
}


class Experiment(NamedTuple):
    """The fields that the paper's tables name; names are lower case, letters and digits only."""

    target: str
    source: str
    method: str
    regularizer: str
    n_models: int
    archs: frozenset[str]
    ptm_epoch: int
    ipc: int
    eval_arch: str


@dataclass(frozen=True)
class Published:
    """One printed number.

    Attributes:
        table: as a sweep file names it: ``Table 4``, ``Table A1``, ``Fig. 2``.
        experiment: what was measured.
        mean: accuracy, a fraction; None where it could not be read.
        std: a fraction; None if none is printed.
        note: doubts about the number, and where it is printed.
    """

    table: str
    experiment: Experiment
    mean: float | None
    std: float | None
    note: str

    @property
    def mark(self) -> str:
        """A key of ``MARKS`` if the number needs a remark, else empty."""
        if self.note.startswith("UNCERTAIN"):
            return "?"
        return "*" if self.note.startswith("sub-optimal") and self.experiment.method != "dsa" else ""


@lru_cache(maxsize=1)
def read() -> tuple[Published, ...]:
    """All published numbers, in the order of the paper."""
    with Path(__file__).with_name("paper.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_published(line) for line in csv.DictReader(file))


def find(recipe: Recipe, eval_arch: str, table: str = "") -> Published | None:
    """The paper's number for ``recipe``, evaluated with ``eval_arch``; None if it prints none.

    Some experiments are printed several times, two of them with another std; then the number of ``table`` is used.
    """
    wanted = experiment(recipe, eval_arch)
    found = [one for one in read() if one.experiment == wanted and one.mean is not None]
    return min(found, key=lambda one: one.table != table, default=None)


def targets() -> set[str]:
    """The datasets that the paper distills, as ``plain`` writes them."""
    return {one.experiment.target for one in read()}


def experiment(recipe: Recipe, eval_arch: str) -> Experiment:
    """The recipe in the paper's terms."""
    guided = recipe.regularizer != "none"
    return Experiment(
        target=plain(recipe.target),
        source=plain(recipe.source_dataset) if guided else "",
        method=recipe.method,
        regularizer=recipe.regularizer,
        n_models=recipe.n_models,
        archs=frozenset(plain(paper_name(arch)) for arch in recipe.ptm_arch_list),
        ptm_epoch=LAST if guided and recipe.ptm_epoch == recipe.ptm_train_epochs else recipe.ptm_epoch,
        ipc=recipe.ipc,
        eval_arch=plain(paper_name(eval_arch)),
    )


def twin(recipe: Recipe) -> Recipe | None:
    """The same experiment with the paper's settings (Sec. 3.2; for Table 3, Sec. 5.3); None if it has none."""
    if METHODS.code(recipe.method) or recipe.method not in METHODS.rows:  # of a plugin, present or not
        return None
    choices = {name: getattr(recipe, name) for name in NAMED if name != "ptm_epoch"}
    if plain(recipe.target) in ("imagenette", "imagefruit"):
        choices |= {"arch": "convnet6", "batch_real": 512}
    try:
        return make({name: value for name, value in choices.items() if value not in ("", 0)})
    except UserError:  # for example, an IPC without published loops
        return None


def plain(name: str) -> str:
    """A name without typography: ``ImageNet-32`` and ``imagenet32`` are equal."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _published(line: dict[str, str]) -> Published:
    epochs = {"SO": SUB_OPTIMAL, "150": LAST, "": LAST}
    guided = line["loss"] != "none"
    table = line["table"]
    return Published(
        table="Fig. 2" if table.startswith("Fig2") else f"Table {table}",
        experiment=Experiment(
            target=plain(line["target"]),
            source=plain(line["source"]),
            method=line["method"].lower(),
            regularizer=line["loss"].lower(),
            n_models=int(line["n_m"] or 0),
            archs=frozenset(plain(arch) for arch in line["archs"].split("|") if arch),
            ptm_epoch=(epochs.get(line["ptm_epoch"]) or int(line["ptm_epoch"])) if guided else 0,
            ipc=int(line["ipc"]),
            eval_arch=plain(line["eval_model"]),
        ),
        mean=_fraction(line["acc_mean"]),
        std=_fraction(line["acc_std"]),
        note=line["note"],
    )


def _fraction(percent: str) -> float | None:
    return float(f"{percent}e-2") if percent else None
