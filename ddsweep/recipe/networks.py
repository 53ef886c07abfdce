"""The networks of plugins that recipes use are tried with the images that they will get, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ddsweep import data
from ddsweep.registry.networks import TABLE

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe

Use = tuple[str, str, str, int, int, tuple[int, ...]]
"""A field, a network that it names, the dataset, its size, the width, and further sizes of images to embed."""


def verify(recipes: Iterable[Recipe]) -> None:
    """Build every plugin's network once, as the recipes use it, and train it on two images.

    Raises:
        UserError: a network cannot be built or used; the line names the field, the network and the reason.
    """
    for field, name, dataset, size, width, also in sorted({use for recipe in recipes for use in _uses(recipe)}):
        from ddsweep import nn  # torch is loaded for the networks of plugins only

        row = data.info(dataset)
        shape = {"channels": row.channels, "classes": len(row.classes), "size": size, "width": width}
        nn.try_build(name, **shape, also=also, field=field)


def _uses(recipe: Recipe) -> Iterator[Use]:
    target = (recipe.dataset, recipe.size, recipe.width, ())
    for field in ("arch", "eval_archs", "match_archs"):
        for name in getattr(recipe, field).split("+"):
            if _is_plugin(name):
                yield (field, name, *target)
    for name in recipe.ptm_arch_list:
        if not _is_plugin(name):
            continue
        if recipe.source == "target":
            yield ("ptm_archs", name, *target)
        else:
            size = data.facts(recipe.source_dataset).size
            yield "ptm_archs", name, recipe.source_dataset, size, recipe.width, (recipe.size,) * (recipe.size != size)


def _is_plugin(name: str) -> bool:
    return name in TABLE.rows and TABLE.rows[name].plugin
