"""What a report says in words: the answer, what was asked, and what failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddsweep.backends.values import State
from ddsweep.report import numbers
from ddsweep.results import labels, layout, naming

if TYPE_CHECKING:
    from ddsweep.report.material import Material
    from ddsweep.results.table import Row as TableRow


@dataclass(frozen=True)
class Answer:
    """What one row of the table says.

    Attributes:
        setting: its name; empty where there is one row.
        best: the column with the highest mean.
        accuracy: ``94.6 ± 0.4``, per cent.
        difference: ``+0.6``, percentage points above the baseline; empty where nothing is compared.
        mark: of its significance.
        baseline: the baseline's accuracy; empty where it is not finished.
    """

    setting: str
    best: str
    accuracy: str
    difference: str
    mark: str
    baseline: str


@dataclass(frozen=True)
class Setting:
    """One field of the recipes: its values over all cells, and whether the sweep chose them (or took a default)."""

    field: str
    values: str
    chosen: bool


@dataclass(frozen=True)
class Trouble:
    """A cell without a result: which, its state, how often it was tried, and why each attempt failed."""

    title: str
    state: str
    attempts: int
    reasons: list[str]


def answers(material: Material) -> list[Answer]:
    """The best of every row of the table that has any number."""
    several = len(material.table.rows) > 1
    return [one for row in material.table.rows if (one := _answer(material, row, several))]


def _answer(material: Material, row: TableRow, several: bool) -> Answer | None:
    best, table = numbers.best(row), material.table
    if best is None:
        return None
    baseline = next((entry for entry in row.values() if entry.baseline), None)
    return Answer(
        setting=numbers.row_name(material, row) if several else "",
        best="the baseline" if best.baseline else f"{naming.field(table.axis)} {naming.label(table.axis, best.column)}",
        accuracy=layout.mean_std(best.mean, best.std),
        difference=numbers.points(best.difference), mark=best.verdict.mark if best.verdict else "",
        baseline=layout.mean_std(baseline.mean, baseline.std) if baseline and baseline.mean is not None else "",
    )  # fmt: skip


def settings(material: Material) -> tuple[list[Setting], list[Setting]]:
    """The fields that the sweep varies beside its axis, and all others.

    Of the latter some may still have several values: defaults that follow from what is varied. The baseline has no
    PTMs, so their settings are those of the other cells.
    """
    sweep = material.sweep
    guided = [cell.recipe for cell in sweep.cells if not sweep.is_baseline(cell.recipe)]
    recipes = guided or [cell.recipe for cell in sweep.cells]
    varied: list[Setting] = []
    rest: list[Setting] = []
    for name in type(recipes[0]).model_fields:
        values = list(dict.fromkeys(labels.axis_value(recipe, name) or "–" for recipe in recipes))
        one = Setting(name, ", ".join(values), name in sweep.parameters)
        if name not in sweep.axis:
            (varied if len(values) > 1 and name in sweep.swept else rest).append(one)
    return varied, rest


def baseline(material: Material) -> str:
    """What cells are compared with, in words."""
    return ", ".join(f"{naming.field(name)} = {value}" for name, value in material.sweep.baseline.items())


def troubles(material: Material) -> list[Trouble]:
    """Every cell without a result, failures first."""
    found = []
    for cell in material.sweep.cells:
        absence, row = material.absence(cell), material.rows.get(cell.key)
        if absence is None:
            continue
        told = list(row.reasons) if row and row.reasons else [absence.reason] if absence.reason else []
        found.append(Trouble(cell.recipe.title(), absence.state, row.attempts if row else 0, told))
    return sorted(found, key=lambda one: one.state != "failed")


def retried(material: Material) -> list[Trouble]:
    """Every cell that has finished well after attempts that failed."""
    rows = ((cell, material.rows.get(cell.key)) for cell in material.sweep.cells if not material.absence(cell))
    return [
        Trouble(cell.recipe.title(), "done", row.attempts, list(row.reasons))
        for cell, row in rows
        if row and row.reasons
    ]


def counts(material: Material) -> dict[str, int]:
    """How many cells are done, failed, running and waiting."""
    absences = [material.absence(cell) for cell in material.sweep.cells]
    missing = Counter(absence.state if absence else "done" for absence in absences)
    running, done, failed = missing[State.RUNNING.value], missing["done"], missing[State.FAILED.value]
    pruned = missing[State.PRUNED.value]
    return {"cells": (total := missing.total()), "done": done, "failed": failed, "running": running, "pruned": pruned,
            "waiting": total - done - failed - running - pruned}  # fmt: skip
