"""The entries of a table: which cells are averaged, and which entry each is compared with (docs/tables.md).

An entry is all cells whose recipes are equal in everything but the seed, evaluated with one architecture. Nothing else
is ever averaged.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ddsweep.recipe import Recipe
from ddsweep.results import states
from ddsweep.results.states import CellState, State
from ddsweep.results.stored import Stored
from ddsweep.results.tables import naming, significance
from ddsweep.results.tables.significance import Verdict
from ddsweep.sweep import Cell, Sweep

Group = tuple[Cell, ...]
"""The cells of an experiment: one per seed."""


@dataclass(frozen=True)
class Entry:
    """An entry of a table.

    Attributes:
        cells: its cells, by seed.
        eval_arch: the architecture that was evaluated.
        states: the state of each cell, by key.
        samples: the accuracies of the networks of the finished cells, by seed; fractions.
        by_group: of a dataset with attributes: the accuracies by group of the finished cells, by seed (``groups``).
        baseline: whether it is the baseline of others.
        reference: the cells of its baseline; empty if it has none.
        verdict: the comparison with its baseline; None without a baseline, or while one of them has no result.
        setting: the values of the row that it is in.
        column: the label of the column that it is in.
    """

    cells: Group
    eval_arch: str
    states: Mapping[str, CellState]
    samples: Mapping[int, Sequence[float]]
    by_group: Mapping[int, Mapping[str, float | None]] = field(default_factory=dict)
    baseline: bool = False
    reference: Group = ()
    verdict: Verdict | None = None
    setting: dict[str, Any] = field(default_factory=dict)
    column: str = ""

    @property
    def recipe(self) -> Recipe:
        """The experiment, with the first of its seeds."""
        return self.cells[0].recipe

    @property
    def compared(self) -> bool:
        """Whether it has a baseline."""
        return bool(self.reference)

    @property
    def accuracies(self) -> list[float]:
        """The accuracies of all networks."""
        return [accuracy for networks in self.samples.values() for accuracy in networks]

    @property
    def mean(self) -> float | None:
        """Their mean; None while nothing is finished."""
        return statistics.fmean(self.accuracies) if self.samples else None

    @property
    def std(self) -> float | None:
        """Their standard deviation, ddof 0 as in the field's published tables."""
        return statistics.pstdev(self.accuracies) if self.samples else None

    @property
    def n(self) -> int:
        """The number of networks."""
        return len(self.accuracies)

    @property
    def difference(self) -> float | None:
        """The difference from the baseline (``Verdict.difference``)."""
        return self.verdict.difference if self.verdict else None

    @property
    def counts(self) -> Counter[State]:
        """The number of cells in each state that occurs, in the order of the states."""
        found = Counter(one.state for one in self.states.values())
        return Counter({state: found[state] for state in State if found[state]})

    @property
    def done(self) -> int:
        """The number of finished cells."""
        return self.counts[State.DONE]

    def reasons(self, *wanted: State) -> tuple[str, ...]:
        """Why its cells are in these states; each reason once."""
        return tuple(dict.fromkeys(one.reason for one in self.states.values() if one.state in wanted and one.reason))


def groups(cells: Iterable[Cell]) -> list[Group]:
    """The cells by experiment, each with its cells by seed, in the order of the first cells."""
    found: dict[Recipe, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.recipe.model_copy(update={"seed": 0}), []).append(cell)
    return [tuple(sorted(group, key=lambda cell: cell.recipe.seed)) for group in found.values()]


def identifying(sweep: Sweep, found: Sequence[Group]) -> tuple[str, ...]:
    """The swept settings without the seed, and any other that two groups with the same swept values differ in."""
    names = [name for name in sweep.swept if name != "seed"]
    alike: dict[tuple[Any, ...], list[Recipe]] = {}
    for group in found:
        alike.setdefault(tuple(naming.shown(group[0].recipe, name) for name in names), []).append(group[0].recipe)
    for recipes in alike.values():
        dumps = [_settings(recipe, recipes) for recipe in recipes]
        names += [name for name in dumps[0] if name not in names and any(one[name] != dumps[0][name] for one in dumps)]
    return tuple(names)


def _settings(recipe: Recipe, others: Iterable[Recipe]) -> dict[str, Any]:
    """The fields of a recipe without its seed, with options by name instead of as one text."""
    names = dict.fromkeys(name for one in others for name in one.option_names)
    own = recipe.model_dump(exclude={"seed", "options", "guidance_options"})
    return own | {name: naming.shown(recipe, name) for name in names}


def baseline_of(group: Group, sweep: Sweep, by_key: Mapping[str, Group]) -> Group | None:
    """The group of the baselines of a group's cells; None if it has none in ``by_key``."""
    keys = [sweep.baselines.get(cell.key, "") for cell in group]
    found = list({id(by_key[key]): by_key[key] for key in keys if key in by_key}.values())
    return found[0] if len(found) == 1 else None


def entry(group: Group, arch: str, sweep: Sweep, stored: Stored) -> Entry:
    """The entry of a group, evaluated with ``arch``, not compared yet."""
    results = {cell.recipe.seed: stored.results[cell.key] for cell in group if cell.key in stored.results}
    samples = {seed: accuracies for seed, one in results.items() if (accuracies := one.accuracies.get(arch))}
    by_group = {seed: found for seed in samples if (found := results[seed].group_accuracy.get(arch))}
    return Entry(group, arch, {cell.key: states.of(cell, sweep, stored) for cell in group}, samples, by_group)


def compared(entries: Iterable[Entry], sweep: Sweep) -> list[Entry]:
    """The entries with their comparisons; the p values are corrected for the number of tests (Holm)."""
    found = list(entries)
    by_key = {cell.key: one.cells for one in found for cell in one.cells}
    by_place = {(id(one.cells), one.eval_arch): one for one in found}
    baselines = (baseline_of(one.cells, sweep, by_key) for one in found)
    pairs = ((one, by_place.get((id(group), one.eval_arch))) for one, group in zip(found, baselines, strict=True))
    judged = [_compared(one, baseline) for one, baseline in pairs]
    tested = [one.verdict.p for one in judged if one.verdict and one.verdict.p is not None]
    corrected = iter(significance.holm(tested))
    return [
        replace(one, verdict=replace(one.verdict, corrected=next(corrected)))
        if one.verdict and one.verdict.p is not None
        else one
        for one in judged
    ]


def _compared(one: Entry, baseline: Entry | None) -> Entry:
    if baseline is None:
        return one
    if baseline is one:
        return replace(one, baseline=True)
    return replace(one, reference=baseline.cells, verdict=significance.compare(one.samples, baseline.samples))
