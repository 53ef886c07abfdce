"""The table of a sweep: a row per setting, a column per value of the ablated axis, each entry against its baseline.

Where the networks of a cell are evaluated in several architectures there is a row per setting *and* architecture, and
for each column of a setting the average gain over the architectures (as in the paper's Table 4).

``entries`` says which cells are averaged and what an entry is compared with. This module only puts the entries in rows
and columns, so that no two of them share a place and every setting that varies can be seen (docs/tables.md).
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe
from ddsweep.results.stored import Stored
from ddsweep.results.tables import entries, naming
from ddsweep.results.tables.entries import Entry as Entry
from ddsweep.results.tables.entries import Group
from ddsweep.results.tables.naming import BASELINE as BASELINE
from ddsweep.results.tables.naming import Labels
from ddsweep.results.tables.significance import Verdict
from ddsweep.sweep import Cell, Sweep
from ddsweep.sweep.expression import Expression

CONDITION_NAMES = (*Recipe.model_fields, "n_archs")

Row = dict[str, Entry]


@dataclass(frozen=True)
class Table:
    """All entries of a sweep.

    Attributes:
        name: ``NAME@PROFILE`` of the sweep.
        axes: the parameters of the columns.
        axis: the name of the columns as it is displayed.
        columns: their labels, baseline first.
        rows: entries by column for each setting and evaluated architecture. A baseline is in every row that it serves.
        eval_archs: the evaluated architectures, one row each per setting; empty if every cell has only one.
        baseline: the settings that make a cell the baseline of others, as text; empty if the sweep has none.
        labels: the texts of the values of settings.
        notes: the meaning of abbreviated labels.
    """

    name: str
    axes: tuple[str, ...]
    axis: str
    columns: list[str]
    rows: list[Row]
    eval_archs: list[str]
    baseline: str
    labels: Labels
    notes: tuple[str, ...] = ()

    @property
    def entries(self) -> list[Entry]:
        """All entries, row by row."""
        return [row[column] for row in self.rows for column in self.columns if column in row]

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts of all entries that were compared with a baseline."""
        return [entry.verdict for entry in self.entries if entry.verdict]

    def baseline_of(self, entry: Entry) -> Entry | None:
        """The entry that another is compared with."""
        return self._by_place.get((entry.reference[0].key, entry.eval_arch)) if entry.reference else None

    @cached_property
    def _by_place(self) -> dict[tuple[str, str], Entry]:
        return {(entry.cells[0].key, entry.eval_arch): entry for entry in self.entries}

    @property
    def settings(self) -> list[list[Row]]:
        """The rows of each setting: one for each evaluated architecture."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(repr(setting_of(row)), []).append(row)
        return list(groups.values())


def setting_of(row: Row) -> dict[str, Any]:
    """The setting that the entries of a row share."""
    return next(iter(row.values())).setting


def average_gain(rows: Iterable[Row], column: str) -> float | None:
    """Mean over the evaluated architectures of the gain over the baseline; None unless all are finished."""
    gains = [row[column].difference for row in rows if column in row]
    known = [gain for gain in gains if gain is not None]
    return statistics.fmean(known) if known and len(known) == len(gains) else None


def build(sweep: Sweep, stored: Stored, cells: Sequence[Cell] | None = None) -> Table:
    """Arrange results in the table of ``sweep``; an unfinished cell has an entry without a number.

    Args:
        sweep: the sweep.
        stored: its results in the runs folder.
        cells: those to show (``where``); default: all.
    """
    chosen = sweep.cells if cells is None else cells
    layout = _arranged(sweep, chosen)
    archs = _eval_archs(chosen)
    evaluated = [(place, arch) for place in layout.places for arch in archs or [place.group[0].recipe.eval_archs]]
    evaluated = [(place, arch) for place, arch in evaluated if arch in place.group[0].recipe.eval_archs.split("+")]
    unique = {(id(place.group), arch): place.group for place, arch in evaluated}
    judged = entries.compared((entries.entry(group, arch, sweep, stored) for (_, arch), group in unique.items()), sweep)
    found = dict(zip(unique, judged, strict=True))
    rows: dict[tuple[tuple[Any, ...], str], Row] = {}
    for place, arch in evaluated:
        row = rows.setdefault((place.row, arch if archs else ""), {})
        setting = dict(zip(layout.fields, place.row, strict=True))
        row[place.column] = replace(found[id(place.group), arch], setting=setting, column=place.column)
    return Table(
        sweep.full_name, sweep.axis, naming.axis(sweep), layout.columns, list(rows.values()), archs,
        naming.setting(sweep.baseline, as_paper=False), layout.labels, naming.notes(sweep),
    )  # fmt: skip


def _eval_archs(cells: Sequence[Cell]) -> list[str]:
    archs = [cell.recipe.eval_archs.split("+") for cell in cells]
    return list(dict.fromkeys(itertools.chain(*archs))) if archs and max(map(len, archs)) > 1 else []


@dataclass(frozen=True)
class Place:
    """Where a group of cells is shown: the values of its row, and the label of its column."""

    group: Group
    row: tuple[Any, ...]
    column: str


@dataclass(frozen=True)
class Layout:
    """The places of all groups, in the order of rows and columns.

    Attributes:
        fields: the settings that name the rows.
        places: the places, row by row; a baseline has one in every row that it serves.
        columns: the labels of the columns, baselines first.
        labels: the texts of values.
    """

    fields: tuple[str, ...]
    places: list[Place]
    columns: list[str]
    labels: Labels


def _arranged(sweep: Sweep, cells: Sequence[Cell]) -> Layout:
    """The first arrangement in which no two groups share a place.

    Normally the settings that ``baseline`` names are not part of the rows unless others differ in them, and a baseline
    stands in every row that it serves: in the column ``baseline``, or in that of its value on the axis unless the row
    names a setting that ``baseline`` sets otherwise. Where two groups would share a place, these settings are always
    part of the rows; and at last every setting is, also those of the axis, and a baseline stands in its own row.
    """
    found = entries.groups(cells)
    by_key = {cell.key: group for group in found for cell in group}
    served: dict[int, list[Group]] = {}
    baselines: set[int] = set()
    for group in found:
        base = entries.baseline_of(group, sweep, by_key)
        if base is group:
            baselines.add(id(group))
        elif base is not None:
            served.setdefault(id(base), []).append(group)
    others = [group for group in found if id(group) not in baselines]
    fields = entries.identifying(sweep, found)
    labels = naming.of_columns(sweep, (group[0].recipe for group in found), (*fields, *sweep.axis))
    arranger = _Arranger(sweep, labels, found, baselines, served)
    off_axis = tuple(name for name in fields if name not in sweep.axis)
    few = tuple(name for name in off_axis if name not in sweep.baseline or _varies(name, others))
    many = tuple(name for name in off_axis if name not in sweep.baseline or _varies(name, found))
    for names in (few, many):
        places = arranger.places(names)
        if max(Counter((place.row, place.column) for place in places).values(), default=1) == 1:
            return arranger.layout(names, places)
    return arranger.layout(fields, arranger.places(fields, shared=False))


def _varies(name: str, some: Sequence[Group]) -> bool:
    return len({naming.shown(group[0].recipe, name) for group in some}) > 1


@dataclass(frozen=True)
class _Arranger:
    """Places groups for a choice of row settings."""

    sweep: Sweep
    labels: Labels
    found: list[Group]
    baselines: set[int]
    served: dict[int, list[Group]]

    def places(self, names: Sequence[str], *, shared: bool = True) -> list[Place]:
        """The places of all groups.

        Args:
            names: the settings that name the rows.
            shared: whether a baseline stands in every row that it serves, instead of in a row of its own.
        """
        places: dict[tuple[int, tuple[Any, ...]], Place] = {}
        named = [name for name in names if name in self.sweep.baseline]
        for group in self.found:
            served = self.served.get(id(group), []) if id(group) in self.baselines else []
            label = self._label(group, served if shared else None)
            shown = served if shared else []
            fit = (one for one in shown if label == BASELINE or self._agree(group, one, named))
            rows = [self._row(one, names) for one in fit if self._says_nothing_else(group, one, names)]
            for row in rows or [self._row(group, names)]:
                places[id(group), row] = Place(group, row, label)
        return list(places.values())

    def layout(self, names: Sequence[str], places: list[Place]) -> Layout:
        """The layout of places, with rows and columns in order (``_Order``)."""
        order = _Order(self.sweep, self.found)
        columns = sorted(places, key=lambda place: (*self._rank(place), order.of(place.group, self.sweep.axis)))
        rows = sorted(places, key=lambda place: [order.rank(*pair) for pair in zip(names, place.row, strict=True)])
        labels = list(dict.fromkeys(place.column for place in columns))
        return Layout(tuple(names), rows, labels, self.labels)

    def _rank(self, place: Place) -> tuple[bool, bool]:
        """Baselines come first, and of those the ones without a value on the axis."""
        return id(place.group) not in self.baselines, place.column != BASELINE

    def _row(self, group: Group, names: Sequence[str]) -> tuple[Any, ...]:
        return tuple(naming.shown(group[0].recipe, name) for name in names)

    def _agree(self, one: Group, other: Group, names: Iterable[str]) -> bool:
        return all(naming.shown(one[0].recipe, name) == naming.shown(other[0].recipe, name) for name in names)

    def _label(self, group: Group, served: Sequence[Group] | None) -> str:
        """The values of the axis, or ``baseline`` for a baseline in which the axis has no effect."""
        if served is None:  # a row of its own has every setting, and the column its values
            return naming.axis_label(self.sweep.axis, group[0].recipe, self.labels)
        unnamed = [name for name in self.sweep.axis if name not in self.sweep.baseline]
        if id(group) in self.baselines and not all(self._has_effect(group, other, unnamed) for other in served):
            return BASELINE
        return naming.axis_label(self.sweep.axis, group[0].recipe, self.labels)

    def _says_nothing_else(self, baseline: Group, other: Group, names: Iterable[str]) -> bool:
        """Whether the row of the other names no setting that would make the baseline another experiment."""
        unnamed = (name for name in names if name not in self.sweep.baseline)
        differ = [name for name in unnamed if not self._agree(baseline, other, [name])]
        return not any(self._has_effect(baseline, other, [name]) for name in differ)

    def _has_effect(self, baseline: Group, other: Group, names: Iterable[str]) -> bool:
        """Whether the baseline would be another experiment with those of these settings in which the other differs."""
        theirs = {name: other[0].recipe.value(name) for name in names if not self._agree(baseline, other, [name])}
        own = baseline[0].recipe
        return all(self.sweep.key_with(own, {name: value}) != own.key() for name, value in theirs.items())


class _Order:
    """The rank of a value among those of its field.

    Values have the order of the sweep file. Where some are not in it (points of a search, cells of earlier launches),
    numbers are ordered by size, and texts by first occurrence.
    """

    def __init__(self, sweep: Sweep, found: Sequence[Group]) -> None:
        self._sweep, self._found = sweep, found
        self._ranks: dict[str, dict[Any, tuple[bool, float]]] = {}

    def of(self, group: Group, names: Iterable[str]) -> list[tuple[bool, float]]:
        return [self.rank(name, naming.shown(group[0].recipe, name)) for name in names]

    def rank(self, name: str, value: Any) -> tuple[bool, float]:
        if name not in self._ranks:
            self._ranks[name] = self._ranked(name)
        return self._ranks[name][value]

    def _ranked(self, name: str) -> dict[Any, tuple[bool, float]]:
        values = list(dict.fromkeys(naming.shown(group[0].recipe, name) for group in self._found))
        listed = self._sweep.parameters.get(name, ())
        if all(value in listed or not value for value in values):  # without PTMs, their settings are 0 or empty
            return {value: (value in listed, float(listed.index(value) if value in listed else 0)) for value in values}
        return {
            value: (False, float(value)) if isinstance(value, int | float) else (True, float(index))
            for index, value in enumerate(values)
        }


def where(sweep: Sweep, text: str) -> tuple[Cell, ...]:
    """Select the cells for which the condition ``text`` holds, in their order, and their baselines.

    A baseline has no PTMs, so ``n_models > 1`` never holds for it, and without it there would be nothing to compare
    with.

    Args:
        sweep: the sweep.
        text: about the fields of the recipe, options by name, and ``n_archs`` (N_a). ``source`` is the dataset's own
            name, as tables show it.

    Raises:
        UserError: it is not a valid condition, or holds for no cell.
    """
    try:
        own = dict.fromkeys(name for cell in sweep.cells for name in cell.recipe.option_names)
        condition = Expression.parse(text, (*CONDITION_NAMES, *own))
        chosen = {cell.key for cell in sweep.cells if condition.holds(_choices(cell.recipe, own))}
    except UserError as error:
        raise UserError(f"--where: {error}") from None
    if not chosen:
        raise UserError(f"--where: {text!r} holds for none of the {len(sweep.cells)} cells of {sweep.full_name}")
    kept = chosen | _their_baselines(sweep, chosen, condition)
    return tuple(cell for cell in sweep.cells if cell.key in kept)


def _their_baselines(sweep: Sweep, chosen: set[str], condition: Expression) -> set[str]:
    """The keys of the baselines of chosen cells, with all seeds that the condition does not exclude."""
    found = entries.groups(sweep.cells)
    by_key = {cell.key: group for group in found for cell in group}
    kept = set()
    for group in found:
        base = entries.baseline_of(group, sweep, by_key)
        for cell in (cell for cell in group if base and cell.key in chosen):
            choices = _choices(cell.recipe, condition.fields)
            kept |= {one.key for one in base or () if condition.holds({**choices, "seed": one.recipe.seed})}
    return kept


def _choices(recipe: Recipe, options: Iterable[str]) -> Mapping[str, Any]:
    own = {name: recipe.value(name) for name in options}
    source = recipe.source_dataset if recipe.source else ""
    return own | recipe.model_dump() | {"source": source, "n_archs": recipe.n_archs}
