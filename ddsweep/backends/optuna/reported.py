"""A sweep as its storage knows it: the results that trials reported, for the same tables and figures as everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ddsweep.backends import Row, State, Status
from ddsweep.recipe import Recipe
from ddsweep.results import image_checksums
from ddsweep.results.result import Result
from ddsweep.results.stored import Stored
from ddsweep.sweep import Sweep

STD = "accuracy_std"  # attribute of a trial


def sweep_of(status: Status, definition: Mapping[str, Any]) -> Sweep:
    """The registered sweep with the points that were sampled, and the states of its cells.

    Raises:
        UserError: another version of ddsweep wrote the definition.
    """
    sweep = Sweep.from_definition(definition).knowing(row.point for row in status.rows)
    sweep = sweep.with_points(row.point.params for row in status.rows)
    return replace(sweep, progress=status.progress)


def results(status: Status, sweep: Sweep) -> Stored:
    """What the complete trials reported."""
    recipes = {cell.key: cell.recipe for cell in sweep.cells}
    found = {
        row.point.key: Result(
            recipes[row.point.key],
            _accuracies(recipes[row.point.key], row),
            group_accuracy=row.attributes.get("group_accuracy") or {},
        )
        for row in status.rows
        if row.value is not None and row.point.key in recipes
    }
    return Stored(found, {})


def _accuracies(recipe: Recipe, row: Row) -> dict[str, list[float]]:
    """The accuracies of the networks by architecture.

    Trials of earlier versions reported mean and standard deviation only; networks with these stand for theirs.
    """
    reported = row.attributes.get("accuracies")
    if isinstance(reported, dict):
        return reported
    std = row.attributes.get(STD)
    archs = recipe.eval_archs.split("+")
    headline = recipe.arch if recipe.arch in archs else archs[0]
    return {headline: _alike(row.value or 0.0, float(std) if isinstance(std, int | float) else 0.0, recipe.eval_nets)}


def _alike(mean: float, std: float, count: int) -> list[float]:
    """As many numbers as ``count`` with this mean and standard deviation (ddof 0)."""
    pairs = count // 2
    away = std * math.sqrt(count / (2 * pairs)) if pairs else 0.0
    return [mean + away] * pairs + [mean] * (count % 2) + [mean - away] * pairs


def without_other_images(status: Status, definition: Mapping[str, Any]) -> Status:
    """The status without the values of points that were computed from other images than the registered ones."""
    expected = definition.get("data", {})
    rows = [
        row
        if image_checksums.agree(row.attributes.get("images", {}), expected)
        else replace(row, state=State.WAITING, value=None)
        for row in status.rows
    ]
    return replace(status, rows=rows)
