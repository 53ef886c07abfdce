"""The oracle: the numbers of a table, computed from ``docs/tables.md`` with NumPy and SciPy.

It knows cells as plain values and nothing of ddsweep's tables. Recipes are resolved by ``ddsweep.recipe.make``.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, make

Choices = dict[str, Any]
STATES = ("done", "failed", "running", "pruned", "waiting", "left out", "missing")


@functools.lru_cache(maxsize=4096)
def _resolved(items: tuple[tuple[str, Any], ...]) -> tuple[Recipe, str]:
    recipe = make(dict(items))
    return recipe, recipe.key()


def resolve(choices: Choices) -> tuple[Recipe, str]:
    """The recipe of choices, and its key. Raises UserError: it is not valid."""
    return _resolved(tuple(choices.items()))


@dataclass
class Trial:
    """A cell: its recipe, every combination of choices that leads to it, its state, and accuracies by architecture."""

    key: str
    resolved: Recipe
    recipe: Choices
    choices: list[Choices]
    state: str = "waiting"
    accuracies: dict[str, list[float]] = field(default_factory=dict)


@dataclass(eq=False)
class Expected:
    """An entry, with what the page defines for it."""

    fields: Choices  # the recipe without its seed
    arch: str
    cells: list[Trial]
    baseline: Expected | None = None
    pairs: list[tuple[float, float]] = field(default_factory=list)
    unit: str = ""
    difference: float | None = None
    p: float | None = None
    holm: float | None = None

    @property
    def by_seed(self) -> dict[int, list[float]]:
        return {cell.recipe["seed"]: cell.accuracies[self.arch] for cell in self.cells if cell.state == "done"}

    @property
    def values(self) -> list[float]:
        return [value for networks in self.by_seed.values() for value in networks]

    @property
    def accuracy(self) -> float | None:
        return float(np.mean(self.values)) if self.values else None

    @property
    def std(self) -> float | None:
        return float(np.std(self.values)) if self.values else None

    @property
    def states(self) -> Counter[str]:
        return Counter(cell.state for cell in self.cells)

    @property
    def is_baseline(self) -> bool:
        return self.baseline is self

    @property
    def mark(self) -> str:
        return "" if self.p is None or self.holm is None else "*" * ((self.p < 0.05) + (self.holm < 0.05))

    @property
    def unpaired(self) -> bool:
        return self.difference is not None and not self.pairs

    @property
    def common(self) -> tuple[int, int]:
        """How many seeds have a result on both sides, and how many on either."""
        assert self.baseline is not None
        ours, theirs = set(self.by_seed), set(self.baseline.by_seed)
        return len(ours & theirs), len(ours | theirs)


def table(trials: list[Trial], baseline: Choices) -> list[Expected]:
    """The entries of a table, each with its numbers."""
    entries: dict[tuple[Any, ...], Expected] = {}
    place = {}
    for trial in trials:
        fields = {name: value for name, value in trial.recipe.items() if name != "seed"}
        for arch in trial.recipe["eval_archs"].split("+"):
            entry = entries.setdefault((*fields.values(), arch), Expected(fields, arch, []))
            entry.cells.append(trial)
            place[trial.key, arch] = entry
    for entry in entries.values():
        keys = {key for cell in entry.cells if (key := _baseline(cell, baseline, {trial.key for trial in trials}))}
        found = {id(place[key, entry.arch]): place[key, entry.arch] for key in keys if (key, entry.arch) in place}
        entry.baseline = next(iter(found.values())) if len(found) == 1 else None
    for entry in entries.values():
        if entry.baseline and not entry.is_baseline:
            _compare(entry, entry.baseline)
    tested = [entry for entry in entries.values() if entry.p is not None]
    worst = 0.0
    for rank, entry in enumerate(sorted(tested, key=lambda one: one.p or 0.0)):
        worst = max(worst, min(1.0, (len(tested) - rank) * (entry.p or 0.0)))
        entry.holm = worst
    return list(entries.values())


def _baseline(cell: Trial, baseline: Choices, keys: set[str]) -> str | None:
    """The key of the cell that results when the baseline's values replace the cell's own choices."""
    if not baseline:
        return None
    found = set()
    for choices in cell.choices:
        try:
            found.add(resolve(choices | baseline)[1])
        except UserError:
            found.add("")  # not a recipe, so not part of the sweep
    return next(iter(found & keys)) if len(found) == 1 and found <= keys else None


def _compare(ours: Expected, theirs: Expected) -> None:
    mine, base = ours.by_seed, theirs.by_seed
    seeds = sorted(set(mine) & set(base))
    if not mine or not base:
        return
    if not seeds:
        ours.unit = "none"
        ours.difference = float(np.mean(ours.values) - np.mean(theirs.values))
        return
    ours.unit = "network" if len(seeds) == 1 else "seed"
    if len(seeds) == 1:
        ours.pairs = list(zip(mine[seeds[0]], base[seeds[0]], strict=False))
    else:
        ours.pairs = [(float(np.mean(mine[seed])), float(np.mean(base[seed]))) for seed in seeds]
    differences = np.array([one - other for one, other in ours.pairs])
    ours.difference, ours.p = float(np.mean(differences)), p_value(differences)


def p_value(differences: np.ndarray) -> float:
    if len(differences) <= 20:
        sums = np.zeros(1)
        for difference in differences:
            sums = np.concatenate([sums + difference, sums - difference])
        return float(np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-9))
    if np.ptp(differences) < 1e-12:
        return 1.0 if abs(differences[0]) < 1e-12 else 0.0
    return float(stats.ttest_rel(differences, np.zeros(len(differences))).pvalue)


def percent(value: float | None, sign: bool = False) -> str:
    """A fraction as a percentage with one decimal, rounded half away from zero on the decimal digits."""
    if value is None:
        return ""
    digits = (100 * Decimal(f"{abs(value):.12f}")).quantize(Decimal("0.1"), ROUND_HALF_UP)
    minus = "-" if value < 0 and digits else "+" if sign else ""
    return f"{minus}{digits}"


def average_gain(entries: list[Expected]) -> float | None:
    """The mean over the architectures of one setting; None unless all are known."""
    known = [entry.difference for entry in entries if entry.difference is not None]
    return float(np.mean(known)) if len(known) == len(entries) else None


def texts(values: list[Any]) -> dict[Any, str]:
    """The text of each value of a setting: six significant digits if that tells them apart, else the fewest needed."""
    distinct = list(dict.fromkeys(values))
    short = {value: _text(value, f"{value:.6g}" if isinstance(value, float) else "") for value in distinct}
    if len(set(short.values())) == len(distinct):
        return short
    return {value: _text(value, repr(value).removesuffix(".0")) for value in distinct}


def _text(value: Any, digits: str) -> str:
    whole = isinstance(value, float) and value == int(value) and abs(value) < 1e9
    return str(int(value)) if whole else digits if isinstance(value, float) else str(value) or "–"


def product(parameters: dict[str, list[Any]]) -> list[Choices]:
    """Every combination of the values."""
    return [dict(zip(parameters, values, strict=True)) for values in itertools.product(*parameters.values())]
