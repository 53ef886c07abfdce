"""The table of a report: every number in percent, with the cells behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ddsweep import percent
from ddsweep.results.states import State
from ddsweep.results.tables import by_group, layout, naming, ranking
from ddsweep.results.tables.table import BASELINE, average_gain, setting_of
from ddsweep.text import joined, plural

if TYPE_CHECKING:
    from ddsweep.report.material import Material
    from ddsweep.results.tables.entries import Entry
    from ddsweep.results.tables.layout import Grid
    from ddsweep.results.tables.ranking import Ranked, Ranking
    from ddsweep.results.tables.table import Row as TableRow

ACROSS = 4  # settings as columns at most; more settings become lines
WIDE = 80  # characters of column heads that fit side by side


@dataclass(frozen=True)
class Line:
    """A cell: its key, seed and state, the reason of the state, and the mean accuracy of its networks in percent."""

    key: str
    seed: int
    state: str
    reason: str
    accuracy: str
    networks: int


@dataclass(frozen=True)
class Behind:
    """What a click on a number shows.

    Attributes:
        title: the entry, such as ``DM · α 100``.
        notes: what its numbers are computed from.
        cells: its cells, by seed.
    """

    title: str
    notes: list[str]
    cells: list[Line]


@dataclass(frozen=True)
class Place:
    """One entry of the table.

    Attributes:
        mean: the mean, such as ``94.6``, or the states of the cells without a result, such as ``2 failed, 1 waiting``.
        std: the standard deviation, such as ``0.4``; empty if missing.
        share: ``[4/6]`` if only four of six cells are done; empty if all or none are.
        difference: the difference from the baseline with its mark, such as ``+0.6*``.
        other: the compared accuracy, such as ``57.8 ± 0.3``.
        best: whether the mean is the highest of its setting.
        baseline: whether the entry is the baseline.
        number: whether ``mean`` is a number.
        behind: the cells behind it; None for a number that is not of one entry.
        id: of ``behind`` on the page.
    """

    mean: str
    std: str = ""
    share: str = ""
    difference: str = ""
    other: str = ""
    best: bool = False
    baseline: bool = False
    number: bool = False
    behind: Behind | None = None
    id: str = ""


@dataclass(frozen=True)
class View:
    """The layout of the table on the page.

    Attributes:
        corner: the name of the first column.
        heads: the names of the other columns.
        lines: the name and the entries of every line; None for a missing entry.
        notes: the notes below the table.
        other: the name of the compared results; empty without a comparison.
    """

    corner: str
    heads: list[str]
    lines: list[tuple[str, list[Place | None]]]
    notes: list[str]
    other: str

    @property
    def places(self) -> list[Place]:
        """The entries with cells behind them."""
        return [place for _, places in self.lines for place in places if place and place.behind]


def view(material: Material) -> View:
    """Lay out the table: values of the axis as columns if there are many settings, else as lines."""
    found = _of_search(material, material.ranking) if material.ranking else _of_table(material)
    lines = [
        (name, [place and replace(place, id=f"cells-{down}-{across}") for across, place in enumerate(places)])
        for down, (name, places) in enumerate(found.lines)
    ]
    return replace(found, lines=lines, notes=list(filter(None, found.notes)))


def groups(material: Material) -> Grid | None:
    """The accuracies by group; None for a search, and for a dataset without attributes."""
    if material.ranking or not by_group.shown(material.table):
        return None
    grid = by_group.across(material.table, as_paper=True)
    return replace(grid, lines=[[text.replace("(-", "(−") for text in line] for line in grid.lines])


def _of_table(material: Material) -> View:
    table, other = material.table, material.against
    columns = [naming.label(table.axis, column) for column in table.columns]
    names = [row_name(material, row) or "accuracy" for row in table.rows]
    places = [_places(material, row) for row in table.rows]
    notes = [_about(table.entries), layout.statement(table), *layout.notes(table), *table.notes]
    notes += layout.remarks(other) if other else []
    axis, beside = naming.field(table.axis), other.title if other else ""
    short = len(names) == 1 and sum(max(map(len, column.split())) + 2 for column in columns) <= WIDE
    if len(names) > ACROSS or table.eval_archs or short:
        return View(axis, columns, list(zip(names, places, strict=True)) + _gains(material), notes, beside)
    down = [(column, [row[index] for row in places]) for index, column in enumerate(columns)]
    return View(axis, names, down, notes, beside)


def _of_search(material: Material, found: Ranking) -> View:
    """A line per trial, best first."""
    several = len(found.objectives) > 1
    heads = [*(found.objectives if several else ["accuracy"]), "intermediate"]
    lines = [(trial_name(found, one), _of_trial(material, found, one)) for one in found.trials]
    if not any(places[-1] for _, places in lines):
        heads, lines = heads[:-1], [(name, places[:-1]) for name, places in lines]
    notes = [_about([one.entry for one in found.trials]), *ranking.notes(found)]
    return View("trial", heads, lines, notes, "")


def trial_name(found: Ranking, one: Ranked) -> str:
    """The parameters of a trial: ``α 127.4 · DM``."""
    values = {name: naming.shown(one.cell.recipe, name) for name in found.fields}
    return naming.setting(values, labels=found.labels) or "accuracy"


def _of_trial(material: Material, found: Ranking, one: Ranked) -> list[Place | None]:
    baseline = next((other.entry for other in found.trials if one.entry.reference == other.entry.cells), None)
    first = any(one is best for best in found.best)
    place = _place(material, one.entry, baseline, trial_name(found, one), first)
    places: list[Place | None] = [place]
    if len(found.objectives) > 1 and one.values:
        means = [percent.percent(value) for value in one.values]
        places = [replace(place, mean=mean, std="", difference="") for mean in means]
        places[-1] = replace(place, mean=means[-1], std="")
    elif len(found.objectives) > 1:
        places = [place] * len(found.objectives)
    looked = ranking.intermediate(one)
    return [*places, Place(looked) if looked else None]


def row_name(material: Material, row: TableRow) -> str:
    """The setting of a row, and the evaluated architecture if there are several."""
    arch = next(iter(row.values())).eval_arch if material.table.eval_archs else ""
    return joined(naming.setting(setting_of(row), labels=material.table.labels), naming.network(arch))


def points(difference: float | None) -> str:
    """Format a difference as ``−0.3``, with a minus sign; empty for None."""
    return layout.points(difference).replace("-", "−")


def difference(entry: Entry) -> str:
    """The difference of an entry from its baseline with its mark: ``−0.3*``; empty without one."""
    return points(entry.difference) + layout.mark(entry) if entry.difference is not None else ""


def best(row: TableRow) -> Entry | None:
    """The entry of a row with the highest mean; None if all are missing."""
    return max((entry for entry in row.values() if entry.mean is not None), key=lambda one: one.mean or 0, default=None)


def basis(entry: Entry, baseline: Entry | None) -> str:
    """What a difference is computed from: ``mean over 2 pairs; seeds in common with the baseline: 0, 1 (2 of 3)``."""
    verdict = entry.verdict
    if verdict is None or baseline is None:
        return ""
    if verdict.unit == "none":
        return "no seed in common with the baseline: difference of the means, not tested"
    common = sorted(set(entry.samples) & set(baseline.samples))
    seeds = ", ".join(map(str, common)) + (
        f" ({len(common)} of {verdict.seeds})" if len(common) < verdict.seeds else ""
    )
    if verdict.unit == "network":
        return f"mean over {plural(verdict.n, 'network')} of the seed in common with the baseline: {seeds}"
    return f"mean over the seeds in common with the baseline: {seeds}"


def _places(material: Material, row: TableRow) -> list[Place | None]:
    first, table = best(row), material.table
    return [
        _place(material, entry, table.baseline_of(entry), _title(material, row, column), entry is first)
        if (entry := row.get(column))
        else None
        for column in table.columns
    ]


def _title(material: Material, row: TableRow, column: str) -> str:
    label = naming.label(material.table.axis, column)
    along = label if column == BASELINE else f"{naming.field(material.table.axis)} {label}"
    return joined(row_name(material, row), along)


def _place(material: Material, entry: Entry, baseline: Entry | None, title: str, first: bool) -> Place:
    other = material.against.other(entry) if material.against else None
    beside = f"{percent.mean_std(other.mean, other.std)} {other.mark}".rstrip() if other else ""
    behind = _behind(material, entry, baseline, title)
    if entry.mean is None:
        return Place(layout.absent(entry), other=beside, baseline=entry.baseline, behind=behind)
    mean, _, std = percent.mean_std(entry.mean, entry.std).partition(" ± ")
    return Place(
        mean, std, layout.share(entry), difference(entry), beside, first, entry.baseline, number=True, behind=behind
    )


def _behind(material: Material, entry: Entry, baseline: Entry | None, title: str) -> Behind:
    notes = []
    if entry.mean is not None:
        over = f"{plural(entry.n, 'network')} of {plural(len(entry.samples), 'seed')}"
        notes.append(f"{percent.mean_std(entry.mean, entry.std)}: mean ± standard deviation over {over}.")
    if entry.difference is not None and entry.verdict:
        tested = "" if entry.verdict.p is None else f"; p = {entry.verdict.p:.2g}, {entry.verdict.test}"
        notes.append(f"{difference(entry)}: {basis(entry, baseline)}{tested}.")
    return Behind(title, notes, [_line(material, entry, key) for key in entry.states])


def _line(material: Material, entry: Entry, key: str) -> Line:
    state, result = entry.states[key], material.found.get(key)
    values = result.accuracies.get(entry.eval_arch, []) if result else []
    accuracy = percent.percent(sum(values) / len(values)) if values else ""
    seed = next(cell.recipe.seed for cell in entry.cells if cell.key == key)
    return Line(key, seed, state.state.value, state.reason, accuracy, len(values))


def _gains(material: Material) -> list[tuple[str, list[Place | None]]]:
    """If several architectures are evaluated, one line per setting with the average gain over the architectures."""
    if not material.table.eval_archs:
        return []
    lines = []
    for rows in material.table.settings:
        gains = [points(average_gain(rows, column)) for column in material.table.columns]
        name = joined(naming.setting(setting_of(rows[0]), labels=material.table.labels), "average gain")
        lines.append((name, [Place(gain, number=True) if gain else None for gain in gains]))
    return lines


def _about(entries: Sequence[Entry]) -> str:
    if all(entry.counts[State.DONE] == 0 for entry in entries):
        return "No cell has finished yet."
    return f"Accuracy on the full test set in percent: {layout.over(entries)}."
