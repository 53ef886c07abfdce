"""What the real branch of a method depends on: cells that have it in common compute it once (``ddsweep.shared``).

The real branch of a step is what its network makes of real images: the mean features of DM, the gradients of DC and DSA
in the first loop of an iteration. It does not depend on the synthetic set, unless the network was trained on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ddsweep.recipe.fields import Recipe
from ddsweep.registry.methods import METHODS

_OF_THE_SET = ("ipc", "init", "iterations", "lr_img", "alpha", "alpha_by_arch")
_OF_GUIDANCE = (
    "regularizer", "guidance_options", "source", "ptm_archs", "n_models", "ptm_epoch", "ptm_train_epochs", "ptm_lr",
    "ptm_weight_decay", "ptm_batch", "ptm_statistics", "cclom_batch",
)  # fmt: skip
_OF_EVALUATION = ("eval_rule", "eval_archs", "eval_nets", "eval_epochs", "eval_batch", "eval_lr", "eval_strategy")
FREE = (*_OF_THE_SET, *_OF_GUIDANCE, *_OF_EVALUATION, "plugins")
"""The recipe fields that change no network, no draw and no real image of a step. Any other field does, also one that
Recipe may get in the future. The code of plugins is told apart where it is known which of it takes part."""


def real_branch(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe fields that the real branch of a cell depends on, with their values.

    The sets of shared records are named by them, and what ``show`` and ``estimate`` say of sharing is counted by them.
    """
    fields = {name: getattr(recipe, name) for name in type(recipe).model_fields if name not in FREE}
    if recipe.outer_loops > 1:  # the network of an iteration is trained on the set: the draws depend on its size
        fields["ipc"] = recipe.ipc
    return fields


@dataclass(frozen=True)
class Common:
    """What the cells of a sweep have in common.

    Attributes:
        cells: the number of cells.
        readers: how many of them read the real branch that another one computes, at least in part.
        first_loop_only: whether that is only the first loop of an iteration in some of them (DC, DSA with ipc > 1).
    """

    cells: int
    readers: int
    first_loop_only: bool

    def line(self) -> str:
        """In words; empty if nothing is shared."""
        if not self.readers:
            return ""
        part = " (DC, DSA: first loops)" if self.first_loop_only else ""
        return f"{self.readers} of {self.cells} cells read what another one computes of the real images{part}"


def shares(recipe: Recipe) -> bool:
    """Whether the method of a cell shares its real branch; what a plugin's method shares is not known beforehand.

    DREAM shares its choice of real images only, not what it computes of them, and IDC nothing.
    """
    if recipe.factor:
        return False
    return "shared" in METHODS[recipe.method].takes and METHODS.code(recipe.method) is None


def iterations_read(recipes: Sequence[Recipe]) -> list[int]:
    """Return for each cell how many of its iterations find their real branch computed by the cells before it."""
    done: dict[str, int] = {}
    found = []
    for recipe in recipes:
        if not shares(recipe):
            found.append(0)
            continue
        branch = repr(sorted(real_branch(recipe).items()))
        found.append(min(recipe.iterations, done.get(branch, 0)))
        done[branch] = max(recipe.iterations, done.get(branch, 0))
    return found


def common(recipes: Iterable[Recipe]) -> Common:
    """Count what cells have in common; ``recipes`` are the cells in the order of the queue."""
    recipes = list(recipes)
    readers = [one for one, read in zip(recipes, iterations_read(recipes), strict=True) if read]
    return Common(len(recipes), len(readers), any(one.outer_loops > 1 for one in readers))
