"""The table of a sweep: a row per setting, a column per value of the ablated axis, each against its baseline."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddsweep.recipe import Recipe
from ddsweep.results import result as results
from ddsweep.results.result import Result
from ddsweep.sweep import Cell, Sweep

BASELINE = "baseline"


@dataclass(frozen=True)
class Entry:
    """One place in the table, over all seeds and evaluation networks.

    Attributes:
        setting: the swept parameters that are neither axis nor seed: what the rows are named by.
        column: the values of the axis, as text.
        baseline: whether this is what the rest of the row is compared with.
        mean: accuracy, a fraction; None while nothing is finished.
        std: standard deviation over the n networks, ddof 0.
        n: evaluated networks.
        difference: mean minus the mean of the row's baseline.
        cells: how many cells belong here (seeds).
        done: how many of them are finished.
        failed: the reasons of those that failed.
    """

    setting: dict[str, Any]
    column: str
    baseline: bool
    mean: float | None
    std: float | None
    n: int
    difference: float | None
    cells: int
    done: int
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """All entries of a sweep.

    Attributes:
        axis: the name of the columns.
        columns: their labels, baseline first.
        rows: entries by column for each setting.
    """

    axis: str
    columns: list[str]
    rows: list[dict[str, Entry]]

    @property
    def entries(self) -> list[Entry]:
        """Row by row."""
        return [row[column] for row in self.rows for column in self.columns if column in row]


def collect(sweep: Sweep, runs: Path) -> dict[str, Result]:
    """The finished runs of a sweep, by key."""
    found = {cell.key: results.read(runs / cell.key) for cell in sweep.cells}
    return {key: result for key, result in found.items() if result is not None}


def build(sweep: Sweep, found: Mapping[str, Result]) -> Table:
    """Arrange results in the table of ``sweep``; what is not finished has an entry without a number."""
    settings = [name for name in sweep.swept if name not in (*sweep.axis, *sweep.baseline, "seed")]
    groups: dict[tuple[Any, ...], dict[str, list[Cell]]] = {}
    columns: dict[str, None] = {}
    for cell in sorted(sweep.cells, key=lambda cell: not sweep.is_baseline(cell.recipe)):
        row = groups.setdefault(tuple(getattr(cell.recipe, name) for name in settings), {})
        label = column_label(sweep, cell.recipe)
        columns[label] = None
        row.setdefault(label, []).append(cell)
    rows = [
        _row(sweep, dict(zip(settings, values, strict=True)), row, found)
        for values, row in sorted(groups.items(), key=lambda item: [str(value) for value in item[0]])
    ]
    return Table(" × ".join(sweep.axis), list(columns), rows)


def column_label(sweep: Sweep, recipe: Recipe) -> str:
    """The values of the axis in words; the baseline of a sweep that does not vary its own axis is ``baseline``."""
    if sweep.is_baseline(recipe) and not set(sweep.axis) <= set(sweep.baseline):
        return BASELINE
    return " × ".join(axis_value(recipe, name) for name in sweep.axis)


def axis_value(recipe: Recipe, name: str) -> str:
    """A field as people read it."""
    value = recipe.source_dataset if name == "source" else getattr(recipe, name)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _row(
    sweep: Sweep, setting: dict[str, Any], row: dict[str, list[Cell]], found: Mapping[str, Result]
) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    reference: float | None = None
    for label, cells in row.items():  # the baseline comes first
        done = [found[cell.key] for cell in cells if cell.key in found]
        values = [accuracy for result in done for accuracy in result.headline]
        mean = statistics.fmean(values) if values else None
        baseline = sweep.is_baseline(cells[0].recipe)
        reference = mean if baseline else reference
        difference = None if baseline or mean is None or reference is None else mean - reference
        entries[label] = Entry(
            setting, label, baseline, mean, statistics.pstdev(values) if values else None, len(values), difference,
            len(cells), len(done), tuple(result.reason for result in done if result.reason),
        )  # fmt: skip
    return entries
