"""The text of a report: answers, settings, failures, cost and provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddsweep.percent import mean_std
from ddsweep.report import numbers
from ddsweep.results.states import State
from ddsweep.results.tables import layout, naming, ranking
from ddsweep.results.tables.naming import Labels
from ddsweep.text import duration

if TYPE_CHECKING:
    from ddsweep.report.material import Material
    from ddsweep.results.result import Result
    from ddsweep.results.tables.entries import Entry
    from ddsweep.results.tables.table import Row

PHASES = {"pretrain": "training PTMs", "distill": "distillation", "evaluate": "evaluation"}


@dataclass(frozen=True)
class Answer:
    """The best entry of one row of the table, or the best trial of a search.

    Attributes:
        setting: the name of the row; empty if the table has only one row.
        best: where the highest mean is, such as ``α 100``.
        accuracy: mean and standard deviation in percent, such as ``94.6 ± 0.4``.
        difference: percentage points above the baseline with the mark, such as ``+0.6*``; empty without a comparison.
        basis: what the difference is computed from.
        baseline: the accuracy of its baseline; empty if that is not finished.
    """

    setting: str
    best: str
    accuracy: str
    difference: str
    basis: str
    baseline: str


@dataclass(frozen=True)
class Setting:
    """A field of the recipes: its values over all cells, and whether the sweep sets them (or they are defaults)."""

    field: str
    values: str
    chosen: bool


@dataclass(frozen=True)
class Trouble:
    """A cell with failed attempts or without a result: its title, state, number of attempts, and reasons of failure."""

    title: str
    state: str
    attempts: int
    reasons: list[str]


def answers(material: Material) -> list[Answer]:
    """The best entry of every row with a finished entry; of a search, its best trial, or those of the Pareto front."""
    if found := material.ranking:
        of = {one.cell.key: one.entry for one in found.trials}
        several = len(found.best) > 1
        return [
            _answer("Pareto front" if several else "", numbers.trial_name(found, one), one.entry,
                    of.get(one.entry.reference[0].key) if one.entry.reference else None)
            for one in found.best
        ]  # fmt: skip
    several, table = len(material.table.rows) > 1, material.table
    best = [(row, one) for row in table.rows if (one := numbers.best(row))]
    return [
        _answer(
            numbers.row_name(material, row) if several else "", _along(material, row, one), one, table.baseline_of(one)
        )
        for row, one in best
    ]


def _along(material: Material, row: Row, entry: Entry) -> str:
    """Where in its row an entry is: ``α 100``; a baseline that is the only one of its row needs no value."""
    if entry.baseline and sum(one.baseline for one in row.values()) == 1:
        return "the baseline"
    return f"{naming.field(material.table.axis)} {naming.label(material.table.axis, entry.column)}"


def _answer(setting: str, best: str, entry: Entry, baseline: Entry | None) -> Answer:
    return Answer(
        setting=setting,
        best=best,
        accuracy=layout.number(entry),
        difference=numbers.difference(entry),
        basis=numbers.basis(entry, baseline),
        baseline=layout.number(baseline) if baseline and baseline.mean is not None else "",
    )


def chosen(material: Material) -> str:
    """How the best trial of a search was chosen, and how to confirm it; empty for a grid."""
    return "; ".join(ranking.notes(material.ranking)) if material.ranking else ""


def bold(material: Material) -> str:
    """What is bold in the table."""
    if material.ranking:
        return "the Pareto front" if len(material.ranking.objectives) > 1 else "the best trial"
    return "the highest mean of each setting, which is slightly optimistic because it was chosen on the test set"


def settings(material: Material) -> tuple[list[Setting], list[Setting]]:
    """The fields that the sweep varies besides its axis, and all other fields.

    The latter may also have several values: defaults that depend on varied fields. A baseline without guidance has no
    PTMs; its empty settings of PTMs are not listed.
    """
    sweep = material.sweep
    recipes = [cell.recipe for cell in sweep.cells]
    guided = [recipe for recipe in recipes if not sweep.is_baseline(recipe)] or recipes
    labels = Labels.of(recipes)
    varied: list[Setting] = []
    rest: list[Setting] = []
    named = dict.fromkeys(name for recipe in recipes for name in recipe.option_names)
    fields = (name for name in type(recipes[0]).model_fields if name not in ("options", "guidance_options"))
    for name in (*fields, *named):
        own = [naming.shown(recipe, name) for recipe in guided]
        own += [value for value in (naming.shown(recipe, name) for recipe in recipes) if value]
        values = list(dict.fromkeys(labels.text(name, value) or "–" for value in own))
        one = Setting(name, ", ".join(values), name in sweep.parameters)
        if name not in sweep.axis:
            (varied if len(values) > 1 and name in sweep.swept else rest).append(one)
    return varied, rest


def baseline(material: Material) -> str:
    """The baseline as text."""
    return ", ".join(
        f"{naming.field(name)} = {naming.exactly(value)}" for name, value in material.sweep.baseline.items()
    )


def troubles(material: Material) -> list[Trouble]:
    """Every cell without a result, failures first."""
    found = []
    for cell in material.sweep.cells:
        state, row = material.states[cell.key], material.rows.get(cell.key)
        if state.state is not State.DONE:
            reasons = list(row.reasons) if row and row.reasons else [state.reason] if state.reason else []
            title = material.sweep.cell_title(cell.recipe)
            found.append(Trouble(title, state.state.value, row.attempts if row else 0, reasons))
    return sorted(found, key=lambda one: one.state != State.FAILED)


def retried(material: Material) -> list[Trouble]:
    """Every cell that finished after failed attempts."""
    done = [cell for cell in material.sweep.cells if material.states[cell.key].state is State.DONE]
    return [
        Trouble(material.sweep.cell_title(cell.recipe), State.DONE.value, row.attempts, list(row.reasons))
        for cell in done
        if (row := material.rows.get(cell.key)) and row.reasons
    ]


@dataclass(frozen=True)
class Counts:
    """How many cells there are, how many of them are done, and of the others how many are in which state."""

    cells: int
    done: int
    others: dict[str, int]

    @property
    def provisional(self) -> bool:
        """Whether there will be more results."""
        return bool(self.others.keys() & {State.RUNNING.value, State.WAITING.value})


def counts(material: Material) -> Counts:
    """The numbers of cells by state."""
    found = Counter(one.state for one in material.states.values())
    others = {state.value: found[state] for state in State if found[state] and state is not State.DONE}
    return Counts(found.total(), found[State.DONE], others)


@dataclass(frozen=True)
class Cost:
    """The compute cost of a sweep.

    Attributes:
        total: the compute time of all finished cells, as text.
        wall: the time from the first start to the last end, as text; empty if the cells were computed earlier.
        phases: name, time, and share of the total in percent.
        devices: name, number of cells, and time.
    """

    total: str
    wall: str
    phases: list[tuple[str, str, float]]
    devices: list[tuple[str, int, str]]


def cost(material: Material) -> Cost:
    """The cost of the finished cells, including those that were computed for another sweep."""
    results = list(material.found.values())
    phases = {phase: sum(result.seconds.get(phase, 0.0) for result in results) for phase in PHASES}
    total = sum(sum(result.seconds.values()) for result in results)
    devices = {
        name: [sum(result.seconds.values()) for result in results if result.device == name]
        for name in dict.fromkeys(result.device for result in results)
    }
    wall, longest = _wall(material), max((sum(result.seconds.values()) for result in results), default=0.0)
    return Cost(
        total=duration(total),
        wall=duration(wall) if wall >= longest else "",
        phases=[(PHASES[name], duration(taken), 100 * taken / total) for name, taken in phases.items() if taken],
        devices=[(name or "unknown", len(some), duration(sum(some))) for name, some in devices.items()],
    )


def _wall(material: Material) -> float:
    """Seconds from the first start to the last end according to the storage; 0 if unknown."""
    begun = [row.started for row in material.status.rows if row.started]
    ended = [row.finished for row in material.status.rows if row.finished]
    return (max(ended) - min(begun)).total_seconds() if begun and ended else 0.0


def provenance(material: Material) -> list[tuple[str, list[str]]]:
    """The provenance of the results; several values of a kind are all listed, with their counts."""
    results = list(material.found.values())
    rows = [("code", _counted(_commit(result.git) for result in results))]
    for library in dict.fromkeys(name for result in results for name in result.versions):
        rows.append((library, _counted(result.versions.get(library, "unknown") for result in results)))
    rows.append(("device", _counted(result.device or "unknown" for result in results)))
    for dataset in dict.fromkeys(name for result in results for name in result.data):
        rows.append((f"data: {dataset}", _counted(r.data[dataset] for r in results if dataset in r.data)))
    rows.append(("biased images", _counted(result.made for result in results if result.made)))
    return [(name, values) for name, values in rows if values]


def cells(material: Material) -> list[dict[str, Any]]:
    """One record per cell."""
    records = []
    for cell in material.sweep.cells:
        result, row, state = material.found.get(cell.key), material.rows.get(cell.key), material.states[cell.key]
        records.append(
            {
                "key": cell.key,
                "title": material.sweep.cell_title(cell.recipe),
                "state": state.state.value,
                "accuracy": _accuracy(result),
                "seconds": duration(sum(result.seconds.values())) if result and result.seconds else "",
                "agent": row.agent if row else "",
            }
        )
    return records


def _accuracy(result: Result | None) -> str:
    return mean_std(result.accuracy, result.accuracy_std) if result and result.accuracy is not None else ""


def _commit(git: dict[str, Any]) -> str:
    if not git.get("commit"):
        return "an installed package, no checkout"
    return f"{git['commit']}{' with uncommitted changes' if git.get('dirty') else ''}"


def _counted(values: Iterable[str]) -> list[str]:
    """The distinct values; if there are several, each with its number of cells."""
    counts = Counter(values)
    return [value if len(counts) == 1 else f"{value} ({count} cells)" for value, count in counts.items()]
