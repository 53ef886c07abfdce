"""Bytes: what a cell leaves in the runs folder, what PTMs and data take in the cache."""

from __future__ import annotations

import json
import math
from collections.abc import Collection

from ddsweep import data, provenance
from ddsweep.estimate.prices import Prices, pictures
from ddsweep.pretrained.spec import Spec
from ddsweep.recipe import Recipe
from ddsweep.results.result import Result

HEADER = 400  # of a safetensors file: names, shapes, and what is said beside them, without the names of classes
NUMBER = "0.123456789012345678"  # as long as a number in JSON usually is
LOGGED = 100  # lines that a distillation logs, or one per iteration if there are fewer
BOOKS = 4 << 10  # of a cell in the storage: its attributes, heartbeats and notes (SQLite, measured)
NEW_BOOKS = 140 << 10  # of a storage without cells
GENERATOR = 9 << 10  # of the same: a generator's state, and the headers of both files
MOMENTA = 2  # a training keeps its last weights with as many momenta, so that a later epoch goes on from there


def cell(recipe: Recipe, prices: Prices) -> float:
    """What one cell leaves: its run folder, and the copies of its pictures that the dashboard shows."""
    found, later = prices.distilled(recipe), pictures(recipe) - 2
    # each in the run folder and in the dashboard, the last of either kind once more; two are of images before any step
    drawn = (2 * 2 + 1) * found.first_picture + (2 * later + 1) * found.later_picture
    texts = len(json.dumps(recipe.model_dump(), indent=2)) + _metrics(recipe) + _result(recipe)
    return _synthetic(recipe) + drawn + texts + BOOKS


def _synthetic(recipe: Recipe) -> float:
    row = data.info(recipe.target)
    images = len(row.classes) * recipe.ipc
    return images * (4 * row.channels * recipe.size**2 + 8) + HEADER + sum(len(name) + 2 for name in row.classes)


def _metrics(recipe: Recipe) -> float:
    terms = ["loss/match", "loss/regularizer"] if recipe.regularizer != "none" else ["loss/match"]
    names = ["step", *terms, "steps_per_second", "images_per_second"]
    lines = math.ceil(recipe.iterations / max(1, recipe.iterations // LOGGED))
    classes = data.info(recipe.target).classes
    final = ["accuracy", "accuracy_std", *(f"class_accuracy/{name}" for name in classes)]
    return lines * _line(names) + _line(final)


def _line(names: list[str]) -> float:
    return sum(len(f'"{name}": {NUMBER}, ') for name in names)


def _result(recipe: Recipe) -> float:
    archs, classes = recipe.eval_archs.split("+"), len(data.info(recipe.target).classes)
    numbers = len(archs) * (recipe.eval_nets + classes) * (len(NUMBER) + 8)
    empty = Result(recipe, versions=provenance.versions(), git=provenance.git())
    values = {"recipe": recipe.model_dump(), "versions": empty.versions, "git": empty.git}
    return len(json.dumps(values, indent=2)) + numbers + 500


def ptm(one: Spec, epochs: Collection[int], prices: Prices) -> float:
    """What one PTM takes in the pool when these epochs are added."""
    if not epochs:
        return 0.0
    return prices.trained(one).weights * (len(epochs) + MOMENTA) + GENERATOR
