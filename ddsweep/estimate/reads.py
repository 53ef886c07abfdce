"""What cells of a sweep will read because another one of it computes it (``ddsweep.shared``)."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass

from ddsweep.pretrained import spec
from ddsweep.recipe import Recipe
from ddsweep.recipe.real_branch import iterations_read
from ddsweep.registry.methods import METHODS
from ddsweep.shared import budget

FROZEN = 2.0  # passes of a synthetic image through a frozen PTM: forward, and backward to the image


@dataclass(frozen=True)
class Reads:
    """What one cell reads.

    Attributes:
        iterations: the iterations whose real branch another cell computes.
        features: the share of its PTMs of whose features of real images the same holds (CCLoM).
    """

    iterations: int = 0
    features: float = 0.0


def of(recipes: Collection[Recipe]) -> dict[Recipe, Reads]:
    """Return what each cell reads; ``recipes`` are the cells in the order of the queue.

    What earlier sweeps have computed is not counted: it may have been deleted, or be of another machine.

    Raises:
        UserError: ``$DDSWEEP_SHARE`` is invalid.
    """
    if not budget.from_environment():
        return {}
    known: set[Hashable] = set()
    found = {}
    for recipe, iterations in zip(recipes, iterations_read(list(recipes)), strict=True):
        ptms = _with_features(recipe)
        found[recipe] = Reads(iterations, len(ptms & known) / len(ptms) if ptms else 0.0)
        known |= ptms
    return found


def _with_features(recipe: Recipe) -> set[Hashable]:
    """The PTMs of a cell that compute features of real images, with all that these depend on."""
    if not recipe.cclom_batch:
        return set()
    images = (recipe.dataset, recipe.size, recipe.zca, recipe.ptm_statistics, recipe.precision)
    return {(one, recipe.ptm_epoch, *images) for one in spec.needs([recipe]) if not one.is_expert and not one.is_gan}


def real_share(recipe: Recipe, images: float) -> float:
    """Return the share of the first outer loop of an iteration that its real branch takes, counted in passes.

    Args:
        recipe: the cell; its PTMs are taken to cost as much as its network.
        images: the real images of a class.
    """
    real, ours = METHODS[recipe.method].passes
    branch = real * min(recipe.batch_real, images)
    rest = (ours + (FROZEN if recipe.ptm_archs else 0.0)) * recipe.ipc
    return branch / (branch + rest)
