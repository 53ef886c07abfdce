"""A table beside another: the paper's numbers, or another launched sweep.

Fields that the sweep *varies* must be equal on both sides for two numbers to share a line; fields that it *fixes* may
differ, and are then named: a study with fewer iterations has the paper's numbers beside its own, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ddsweep.recipe import Recipe
from ddsweep.results.tables import paper
from ddsweep.results.tables.naming import Labels, axis_value
from ddsweep.results.tables.table import Entry, Table
from ddsweep.sweep import Sweep

PAPER = "paper"
APART = ("seed", "eval_archs")  # seeds are pooled, and architectures are compared one by one


@dataclass(frozen=True)
class Other:
    """The number on the other side.

    Attributes:
        mean: accuracy, a fraction.
        std: a fraction; None if unknown.
        note: a remark about it.
        mark: a key of ``paper.MARKS``, or empty.
    """

    mean: float
    std: float | None
    note: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Line:
    """An entry and the number beside it."""

    entry: Entry
    other: Other | None

    @property
    def difference(self) -> float | None:
        """Ours minus the other."""
        return None if self.other is None or self.entry.mean is None else self.entry.mean - self.other.mean

    @property
    def overlap(self) -> bool | None:
        """Whether the intervals mean ± std have a point in common; None without both intervals."""
        if self.difference is None or self.other is None or self.other.std is None or self.entry.std is None:
            return None
        return abs(self.difference) <= self.entry.std + self.other.std + 1e-12  # intervals that touch do overlap


@dataclass(frozen=True)
class Comparison:
    """A table and the number beside each of its entries.

    Attributes:
        table: ours.
        name: ``paper``, or ``NAME@PROFILE`` of the other sweep.
        lines: one per entry.
        caveat: which settings differ, in a sentence; empty when none does.
    """

    table: Table
    name: str
    lines: list[Line]
    caveat: str

    @property
    def title(self) -> str:
        """``the paper``, or the name of the other sweep."""
        return "the paper" if self.name == PAPER else self.name

    def other(self, entry: Entry) -> Other | None:
        """The number beside an entry of the table."""
        return next((line.other for line in self.lines if line.entry is entry or line.entry == entry), None)


Match = Callable[[Entry], tuple[Recipe, Other | None] | None]


def with_paper(sweep: Sweep, table: Table) -> Comparison:
    """Put ``table`` beside the paper's numbers; those of the paper table that the sweep reproduces take precedence."""
    varied = [name for name in _fields(sweep, table) if name not in (*APART, *paper.NAMED)]

    def match(entry: Entry) -> tuple[Recipe, Other | None] | None:
        twin = paper.twin(entry.recipe)
        if twin is None or not _agree(entry.recipe, twin, varied):
            return None
        found = paper.find(entry.recipe, entry.eval_arch, sweep.paper)
        if found is None or found.mean is None:
            return twin, None
        return twin, Other(found.mean, found.std, found.note, found.mark)

    targets = sorted({entry.recipe.target for entry in table.entries})
    unknown = [f"target {name} (not in the paper)" for name in targets if paper.plain(name) not in paper.targets()]
    return beside(table, PAPER, match, paper.NAMED, unknown)


def with_sweep(sweep: Sweep, table: Table, name: str, others: Table) -> Comparison:
    """Put ``table`` beside the table ``others`` of the sweep ``name``."""
    varied = [field for field in _fields(sweep, table) if field not in APART]
    unique = list({(entry.recipe, entry.eval_arch): entry for entry in others.entries}.values())

    def match(entry: Entry) -> tuple[Recipe, Other | None] | None:
        same = [
            other
            for other in unique
            if other.eval_arch == entry.eval_arch and _agree(entry.recipe, other.recipe, varied)
        ]
        if len(same) != 1:  # several: the other sweep varies what this one fixes, so none of them is the counterpart
            return None
        mean = same[0].mean
        return same[0].recipe, None if mean is None else Other(mean, same[0].std)

    return beside(table, name, match)


def beside(table: Table, name: str, match: Match, named: Iterable[str] = (), also: Iterable[str] = ()) -> Comparison:
    """Match every entry; ``named`` fields do not count as settings, and ``also`` lists further differences."""
    matched = [(entry, match(entry)) for entry in table.entries]
    lines = [Line(entry, found[1] if found else None) for entry, found in matched]
    pairs = [(entry.recipe, found[0]) for entry, found in matched if found]
    fields = [field for field in Recipe.model_fields if field not in (*APART, *named)]
    differing = ", ".join([*also, *_differing(pairs, fields)])
    return Comparison(
        table, name, lines, f"settings that differ ({name} in brackets): {differing}" if differing else ""
    )


def _fields(sweep: Sweep, table: Table) -> Iterable[str]:
    """The fields that the sweep varies, and any others that name rows of its table."""
    return dict.fromkeys([*sweep.swept, *(name for entry in table.entries for name in entry.setting)])


def _agree(ours: Recipe, theirs: Recipe, fields: Iterable[str]) -> bool:
    return all(_value(ours, field) == _value(theirs, field) for field in fields)


def _value(recipe: Recipe, field: str) -> object:
    """The last epoch of a shorter training counts as the last epoch of a longer one: both are well-trained PTMs."""
    last = field == "ptm_epoch" and recipe.ptm_epoch == recipe.ptm_train_epochs
    return paper.LAST if last else recipe.value(field)


def _differing(pairs: list[tuple[Recipe, Recipe]], fields: Iterable[str]) -> Iterable[str]:
    """``iterations 500 (1000, 20000)`` for every field that differs in some pair."""
    labels = Labels.of(recipe for pair in pairs for recipe in pair)
    for field in fields:
        unequal = [
            (axis_value(a, field, labels), axis_value(b, field, labels))
            for a, b in pairs
            if getattr(a, field) != getattr(b, field)
        ]
        if unequal:
            ours, theirs = (", ".join(dict.fromkeys(side)) for side in zip(*unequal, strict=True))
            yield f"{field} {ours} ({theirs})"
