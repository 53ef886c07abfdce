"""Which recipes can be distilled together, with each step's network, draws and real images computed once for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddsweep.registry.methods import METHODS
from ddsweep.registry.networks import TABLE

if TYPE_CHECKING:
    from ddsweep.recipe.fields import Recipe

OWN = (
    "ipc", "init", "iterations", "lr_img",
    "regularizer", "guidance_options", "alpha", "alpha_by_arch", "source", "ptm_archs", "n_models", "ptm_epoch",
    "ptm_train_epochs", "ptm_lr", "ptm_weight_decay", "ptm_batch", "ptm_statistics", "cclom_batch",
    "eval_rule", "eval_archs", "eval_nets", "eval_epochs", "eval_batch", "eval_lr", "eval_strategy",
)  # fmt: skip
"""The fields in which recipes of one company may differ: no network, draw or real image of a step depends on them."""


def company(recipe: Recipe) -> tuple[object, ...] | None:
    """Return what recipes must have in common to be distilled together.

    Returns:
        The values of all fields that are not in ``OWN``. None if the recipe is always distilled alone: the steps of its
        method depend on what is learned, a network normalizes by its whole batch, or a part of it is a plugin's.
    """
    if recipe.plugins or not METHODS[recipe.method].several or TABLE[recipe.arch].batch_norm:
        return None
    return tuple(getattr(recipe, name) for name in type(recipe).model_fields if name not in OWN)
