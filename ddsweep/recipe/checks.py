"""Checks across the fields of a recipe: whether its choices fit each other and the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddsweep import data
from ddsweep.errors import UserError, closest
from ddsweep.recipe import trajectories
from ddsweep.registry import ptms
from ddsweep.registry.datasets import FOLDER_PREFIX, DatasetInfo
from ddsweep.registry.guidance import GUIDANCE, NONE
from ddsweep.registry.image_folders import folder_tree
from ddsweep.registry.methods import METHODS
from ddsweep.registry.networks import TABLE
from ddsweep.registry.rules import OPERATIONS, RULES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ddsweep.recipe import Recipe

SMALLEST_CELL = 4  # pixels along a side


def check(recipe: Recipe) -> None:
    """Check the fields of a recipe against each other.

    Raises:
        UserError: a field contradicts another field or the dataset.
    """
    for field in ("dsa_strategy", "eval_strategy"):
        _check_strategy(field, getattr(recipe, field))
    if recipe.init not in (inits := METHODS[recipe.method].inits):
        raise UserError(f"init: {recipe.init} is not supported by {recipe.method} (allowed: {', '.join(inits)})")
    for field in ("arch", "eval_archs"):
        _check_networks(field, getattr(recipe, field), {recipe.size}, recipe.target)
    _check_ipc(recipe, data.facts(recipe.target))
    if recipe.eval_lr == 0 and not METHODS[recipe.method].learns_lr:
        raise UserError(f"eval_lr: {recipe.method} learns no learning rate for networks on its set; set eval_lr")
    if "factor" in METHODS[recipe.method].takes:
        _check_grids(recipe)
    RULES.take(recipe.eval_rule, "eval_rule")
    if recipe.eval_epochs < 1 and recipe.eval_rule != "dc":
        raise UserError(f"eval_epochs: {recipe.eval_epochs} is out of range; at least 1 (0 only with eval_rule: dc)")
    if "n_experts" in METHODS[recipe.method].takes:
        trajectories.check(recipe, data.facts(recipe.target))
    if "gan" in METHODS[recipe.method].takes:
        _check_generator(recipe)
    if recipe.regularizer != NONE:
        _check_guidance(recipe)


def verify_images(recipes: Iterable[Recipe]) -> None:
    """Check the image folders of recipes, which a recipe alone does not look at.

    Raises:
        UserError: a folder is not valid (``folder_tree``), or its classes have fewer images than the ipc.
    """
    recipes = sorted(recipes, key=lambda recipe: -recipe.ipc)
    for name in sorted({name for recipe in recipes for name in (recipe.dataset, recipe.source_dataset)}):
        if name.startswith(FOLDER_PREFIX):
            folder_tree(name)  # compares the folder with a listing of a moment ago
    rows = {name: data.info(name) for name in {recipe.dataset for recipe in recipes}}
    for recipe in recipes:
        _check_ipc(recipe, rows[recipe.dataset])


def _check_ipc(recipe: Recipe, row: DatasetInfo) -> None:
    """Check that the smallest class has the images that a distillation begins with, and those of a step of DREAM."""
    have = row.smallest_class
    if not have:
        return
    if recipe.ipc > have:
        raise UserError(f"ipc: {recipe.ipc} is more than the {have} images of a class in {recipe.target}")
    if recipe.init != "noise" and recipe.decoded_ipc > have:
        raise UserError(
            f"ipc: {recipe.ipc} with factor {recipe.factor} begins with {recipe.decoded_ipc} images per class, but "
            f"{recipe.target} has {have}; choose a smaller ipc or factor, or init: noise"
        )
    if recipe.select_every and recipe.batch_real > have:
        raise UserError(
            f"batch_real: {recipe.batch_real} representatives are more than the {have} images of a class in "
            f"{recipe.target}"
        )


def _check_grids(recipe: Recipe) -> None:
    """Check the fields of methods whose images are grids of smaller ones."""
    fitting = [factor for factor in range(1, recipe.size // SMALLEST_CELL + 1) if _fits(factor, recipe.size)]
    if recipe.factor not in fitting:
        raise UserError(
            f"factor: {recipe.factor} does not fit images of {recipe.size}×{recipe.size} pixels (allowed: "
            f"{', '.join(map(str, fitting[:12]))}{', …' * (len(fitting) > 12)})"
        )
    if recipe.factor > 1 and recipe.init == "first":
        raise UserError(f"init: first has one image per grid; with factor {recipe.factor}, choose mix")
    if "select_every" in METHODS[recipe.method].takes and recipe.select_every < 1:
        raise UserError(f"select_every: {recipe.select_every} is out of range; at least 1")


def _fits(factor: int, size: int) -> bool:
    """Whether no cell of a grid consists of padding only."""
    return (factor - 1) * -(-size // factor) < size


def _check_generator(recipe: Recipe) -> None:
    for field, least in (("gan_epochs", 1), ("gan_batch", 2), ("batch_real", 2), ("net_images", 1)):
        if getattr(recipe, field) < least:
            raise UserError(f"{field}: {getattr(recipe, field)} is out of range; at least {least}")
    if not recipe.gan_lr:
        raise UserError("gan_lr: 0 is out of range; the GAN would not be trained")
    _check_networks("match_archs", recipe.match_archs, {recipe.size}, recipe.target)


def _check_guidance(recipe: Recipe) -> None:
    guidance, foundation = GUIDANCE[recipe.regularizer], ptms.find(recipe.source)
    within = recipe.source == "target" or (foundation is not None and foundation.classifies(recipe.target))
    if guidance.logits and not within:
        raise UserError(
            f"regularizer: {guidance.name} needs PTMs with the labels of {recipe.target}, but source is {recipe.source}"
            "; use cclom, or source: target"
        )
    if guidance.real and recipe.cclom_batch < 1:
        raise UserError(f"cclom_batch: {recipe.cclom_batch} is out of range; at least 1")
    if foundation:
        if recipe.ptm_archs != foundation.name:
            raise UserError(
                f"ptm_archs: {recipe.ptm_archs} is not the PTM of {recipe.source} (allowed: {foundation.name})"
            )
        return
    sizes = {recipe.size} if recipe.source == "target" else {recipe.size, data.facts(recipe.source).size}
    _check_networks("ptm_archs", recipe.ptm_archs, sizes, recipe.target if recipe.source == "target" else recipe.source)
    for field in ("n_models", "ptm_train_epochs", "ptm_epoch", "ptm_batch"):
        if getattr(recipe, field) < 1:
            raise UserError(
                f"{field}: {getattr(recipe, field)} is out of range; at least 1 (for the baseline, set alpha: 0)"
            )
    if recipe.ptm_epoch > recipe.ptm_train_epochs:
        raise UserError(
            f"ptm_epoch: {recipe.ptm_epoch} is after the last epoch (allowed: 1 to {recipe.ptm_train_epochs})"
        )


def _check_networks(field: str, names: str, sizes: set[int], dataset: str) -> None:
    """Check that the networks exist and accept the images that they are given.

    Args:
        field: the field that names them.
        names: their names, joined by ``+``.
        sizes: all sizes: the target's, for PTMs also the source's.
        dataset: the dataset whose number of channels they have.
    """
    for name in names.split("+"):
        row = TABLE.take(name, field)
        row.check_channels(data.facts(dataset).channels, field)
        for size in sizes:
            row.canvas(size, field)


def _check_strategy(field: str, strategy: str) -> None:
    for operation in strategy.split("_"):
        if strategy != "none" and operation not in OPERATIONS:
            raise UserError(
                f"{field}: unknown operation {operation!r}; {closest(operation, OPERATIONS)}, joined by _, or none"
            )
