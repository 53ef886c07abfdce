"""The table of a sweep: a row per setting, a column per value of the ablated axis, each against its baseline.

Where the networks of a cell are evaluated in several architectures there is a row per setting *and* architecture, and
for each column of a setting the average gain over the architectures (as in the paper's Table 4).
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping
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
        recipe: the experiment, with the first of its seeds.
        setting: the swept parameters that are neither axis nor seed: what the rows are named by.
        column: the values of the axis, as text.
        eval_arch: the architecture that was evaluated.
        baseline: whether this is what the rest of the row is compared with.
        mean: accuracy, a fraction; None while nothing is finished.
        std: standard deviation over the n networks, ddof 0.
        n: evaluated networks.
        difference: mean minus the mean of the row's baseline.
        cells: how many cells belong here (seeds).
        done: how many of them are finished.
        failed: the reasons of those that failed.
    """

    recipe: Recipe
    setting: dict[str, Any]
    column: str
    eval_arch: str
    baseline: bool
    mean: float | None
    std: float | None
    n: int
    difference: float | None
    cells: int
    done: int
    failed: tuple[str, ...] = ()


Row = dict[str, Entry]


@dataclass(frozen=True)
class Table:
    """All entries of a sweep.

    Attributes:
        axes: the parameters of the columns.
        axis: the name of the columns, for people.
        columns: their labels, baseline first.
        rows: entries by column for each setting and evaluated architecture.
        eval_archs: the evaluated architectures that tell rows of one setting apart; empty where every cell has one.
        notes: what a label stands for, where it is an abbreviation.
    """

    axes: tuple[str, ...]
    axis: str
    columns: list[str]
    rows: list[Row]
    eval_archs: list[str]
    notes: tuple[str, ...] = ()

    @property
    def entries(self) -> list[Entry]:
        """Row by row."""
        return [row[column] for row in self.rows for column in self.columns if column in row]

    @property
    def settings(self) -> list[list[Row]]:
        """The rows of each setting: one for each evaluated architecture."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(repr(setting_of(row)), []).append(row)
        return list(groups.values())


def setting_of(row: Row) -> dict[str, Any]:
    """What the entries of a row have in common."""
    return next(iter(row.values())).setting


def average_gain(rows: Iterable[Row], column: str) -> float | None:
    """Mean over the evaluated architectures of the gain over the baseline; None unless all of them are there."""
    gains = [row[column].difference for row in rows if column in row]
    known = [gain for gain in gains if gain is not None]
    return statistics.fmean(known) if known and len(known) == len(gains) else None


def collect(sweep: Sweep, runs: Path) -> dict[str, Result]:
    """The finished runs of a sweep, by key."""
    found = {cell.key: results.read(runs / cell.key) for cell in sweep.cells}
    return {key: result for key, result in found.items() if result is not None}


def build(sweep: Sweep, found: Mapping[str, Result]) -> Table:
    """Arrange results in the table of ``sweep``; what is not finished has an entry without a number."""
    names = [name for name in sweep.swept if name not in (*sweep.axis, *sweep.baseline, "seed")]
    groups: dict[tuple[Any, ...], dict[str, list[Cell]]] = {}
    columns: dict[str, None] = {}
    for cell in sorted(sweep.cells, key=lambda cell: not sweep.is_baseline(cell.recipe)):
        row = groups.setdefault(tuple(getattr(cell.recipe, name) for name in names), {})
        label = column_label(sweep, cell.recipe)
        columns[label] = None
        row.setdefault(label, []).append(cell)
    eval_archs = _eval_archs(sweep)
    rows = [
        _row(sweep, dict(zip(names, values, strict=True)), row, found, arch)
        for values, row in sorted(groups.items(), key=lambda item: [str(value) for value in item[0]])
        for arch in eval_archs or [""]
    ]
    axis = ["n_archs" if name == "archs" and _counted(sweep) else name for name in sweep.axis]
    return Table(sweep.axis, " × ".join(axis), list(columns), [row for row in rows if row], eval_archs, _notes(sweep))


def column_label(sweep: Sweep, recipe: Recipe) -> str:
    """The values of the axis in words; the baseline of a sweep that does not vary its own axis is ``baseline``."""
    if sweep.is_baseline(recipe) and not set(sweep.axis) <= set(sweep.baseline):
        return BASELINE
    counted = _counted(sweep)
    return " × ".join(
        str(recipe.n_archs) if name == "archs" and counted else axis_value(recipe, name) for name in sweep.axis
    )


def axis_value(recipe: Recipe, name: str) -> str:
    """A field as people read it."""
    value = recipe.source_dataset if name == "source" else getattr(recipe, name)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _counted(sweep: Sweep) -> bool:
    """Beside another axis a set of architectures is written as its length, N_a, if that tells all sets apart."""
    sets = {cell.recipe.archs for cell in sweep.cells if not sweep.is_baseline(cell.recipe)}
    return len(sweep.axis) > 1 and "archs" in sweep.axis and len(sets) == len({len(one.split("+")) for one in sets})


def _notes(sweep: Sweep) -> tuple[str, ...]:
    sets = {cell.recipe.archs: cell.recipe.n_archs for cell in sweep.cells if cell.recipe.archs}
    return tuple(f"n_archs {count}: {archs}" for archs, count in sets.items()) if _counted(sweep) else ()


def _eval_archs(sweep: Sweep) -> list[str]:
    archs = [cell.recipe.eval_archs.split("+") for cell in sweep.cells]
    return list(dict.fromkeys(itertools.chain(*archs))) if max(map(len, archs)) > 1 else []


def _row(
    sweep: Sweep, setting: dict[str, Any], row: dict[str, list[Cell]], found: Mapping[str, Result], arch: str
) -> Row:
    """One row, of what ``arch`` reached; without one, of what the only architecture of each cell reached."""
    entries: Row = {}
    reference: float | None = None
    for column, cells in row.items():  # the baseline comes first
        recipe, done = cells[0].recipe, [found[cell.key] for cell in cells if cell.key in found]
        if arch and arch not in recipe.eval_archs.split("+"):
            continue
        evaluated = arch or recipe.eval_archs
        values = [accuracy for result in done for accuracy in result.accuracies.get(evaluated, [])]
        mean = statistics.fmean(values) if values else None
        baseline = sweep.is_baseline(recipe)
        reference = mean if baseline else reference
        entries[column] = Entry(
            recipe=recipe, setting=setting, column=column, eval_arch=evaluated, baseline=baseline,
            mean=mean, std=statistics.pstdev(values) if values else None, n=len(values),
            difference=None if baseline or mean is None or reference is None else mean - reference,
            cells=len(cells), done=len(done), failed=tuple(result.reason for result in done if result.reason),
        )  # fmt: skip
    return entries
