"""Which recipes can be distilled in lockstep, with each step's network, draws and real images computed once for all."""

from __future__ import annotations

from ddsweep.recipe.fields import Recipe
from ddsweep.recipe.real_branch import real_branch
from ddsweep.registry.methods import METHODS
from ddsweep.registry.networks import TABLE


def group_key(recipe: Recipe) -> tuple[object, ...] | None:
    """Return what recipes must have in common to be distilled in lockstep.

    Returns:
        Everything that the real branch of a step depends on. None if the recipe is always distilled alone: the steps of
        its method depend on what is learned, its network normalizes by a whole batch, or a part of it is a plugin's.
    """
    if recipe.plugins or not METHODS[recipe.method].grouped or TABLE[recipe.arch].batch_norm:
        return None
    return tuple(real_branch(recipe).items())
