"""Checks of the fields of TM (``method: tm``) and of other methods with expert trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddsweep.errors import UserError
from ddsweep.registry.methods import METHODS

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe
    from ddsweep.registry.datasets import DatasetInfo

MOST_WHITENED = 4096  # values of an image: a matrix of their square is decomposed
AT_LEAST_ONE = ("syn_steps", "expert_epochs", "max_start_epoch", "n_experts", "expert_train_epochs")


def check(recipe: Recipe, row: DatasetInfo) -> None:
    """Check the fields of TM against each other and the dataset.

    Raises:
        UserError: a field is out of range, the experts are not trained for long enough, a batch is larger than the set,
            or images are too large to be whitened.
    """
    takes = METHODS[recipe.method].takes
    for field in AT_LEAST_ONE:
        if field in takes and getattr(recipe, field) < 1:
            raise UserError(f"{field}: {getattr(recipe, field)} is out of range; at least 1")
    if "lr_teacher" in takes and not recipe.lr_teacher:
        raise UserError("lr_teacher: 0 is out of range; the student's learning rate starts above 0")
    last = recipe.max_start_epoch - 1 + recipe.expert_epochs
    if last > recipe.expert_train_epochs:
        raise UserError(
            f"max_start_epoch: {recipe.max_start_epoch} with expert_epochs {recipe.expert_epochs} needs {last} epochs "
            f"of the experts, which are trained for {recipe.expert_train_epochs} (expert_train_epochs)"
        )
    if row.classes and recipe.batch_syn > (count := len(row.classes) * recipe.ipc):
        raise UserError(f"batch_syn: {recipe.batch_syn} is more than the {count} images of the set (0: all of them)")
    if recipe.zca and (values := row.channels * recipe.size**2) > MOST_WHITENED:
        raise UserError(
            f"zca: images of {row.channels}×{recipe.size}×{recipe.size} have {values} values, the largest that can be "
            f"whitened have {MOST_WHITENED}"
        )
