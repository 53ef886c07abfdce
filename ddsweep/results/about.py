"""How the images of a run come from what was learned, also on a host without its plugin."""

from __future__ import annotations

from pathlib import Path

from ddsweep.data import class_names
from ddsweep.recipe import Recipe
from ddsweep.results.run_files import SET


def images(recipe: Recipe, folder: Path) -> str:
    """Return the phrase for captions (``Recipe.described``); what the file of the set says of it counts.

    Args:
        recipe: the recipe of the run.
        folder: the run folder.
    """
    return recipe.described(class_names.metadata(folder / SET).get("about", ""))
