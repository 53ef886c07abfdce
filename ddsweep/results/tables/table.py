"""The table of a sweep: a row per setting, a column per value of the ablated axis, each against its baseline.

Where the networks of a cell are evaluated in several architectures there is a row per setting *and* architecture, and
for each column of a setting the average gain over the architectures (as in the paper's Table 4).
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ddsweep.errors import NO_REASON, UserError
from ddsweep.recipe import Recipe
from ddsweep.results.result import Result
from ddsweep.results.tables import naming, significance
from ddsweep.results.tables.naming import BASELINE as BASELINE
from ddsweep.results.tables.naming import axis_value as axis_value
from ddsweep.results.tables.naming import column_label as column_label
from ddsweep.results.tables.significance import Verdict
from ddsweep.sweep import Cell, Sweep
from ddsweep.sweep.expression import Expression

CONDITION_NAMES = (*Recipe.model_fields, "n_archs")


@dataclass(frozen=True)
class Entry:
    """An entry of the table, over all seeds and evaluation networks.

    Attributes:
        recipe: the experiment, with the first of its seeds.
        setting: the swept parameters that are neither axis nor seed; they name the rows.
        column: the values of the axis, as text.
        eval_arch: the architecture that was evaluated.
        baseline: whether the rest of the row is compared with it.
        mean: accuracy, a fraction; None while nothing is finished.
        std: standard deviation over the n networks, ddof 0.
        n: evaluated networks.
        difference: mean minus the mean of the row's baseline.
        cells: how many cells it covers (seeds).
        done: how many of them are finished.
        failed: the reasons of those that failed.
        given_up: how many failed without a result.
        samples: the accuracies of the networks, by seed.
        verdict: whether the difference is significant; None if there is no baseline to pair with.
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
    given_up: int = 0
    samples: Mapping[int, Sequence[float]] = field(default_factory=dict)
    verdict: Verdict | None = None


Row = dict[str, Entry]


@dataclass(frozen=True)
class Table:
    """All entries of a sweep.

    Attributes:
        axes: the parameters of the columns.
        axis: the name of the columns as it is displayed.
        columns: their labels, baseline first.
        rows: entries by column for each setting and evaluated architecture.
        eval_archs: the evaluated architectures, one row each per setting; empty if every cell has only one.
        notes: the meaning of abbreviated labels.
    """

    axes: tuple[str, ...]
    axis: str
    columns: list[str]
    rows: list[Row]
    eval_archs: list[str]
    notes: tuple[str, ...] = ()

    @property
    def entries(self) -> list[Entry]:
        """All entries, row by row."""
        return [row[column] for row in self.rows for column in self.columns if column in row]

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts of all entries that were compared with a baseline."""
        return [entry.verdict for entry in self.entries if entry.verdict]

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


def build(sweep: Sweep, found: Mapping[str, Result], cells: Sequence[Cell] | None = None) -> Table:
    """Arrange results in the table of ``sweep``; an unfinished cell has an entry without a number.

    Args:
        sweep: the sweep.
        found: its finished runs, by key.
        cells: those to show (``select.where``); default: all.
    """
    chosen = sweep.cells if cells is None else cells
    names = [name for name in sweep.swept if name not in (*sweep.axis, *sweep.baseline, "seed")]
    groups: dict[tuple[Any, ...], dict[str, list[Cell]]] = {}
    columns: dict[str, None] = {}
    for cell in sorted(chosen, key=lambda cell: not sweep.is_baseline(cell.recipe)):
        row = groups.setdefault(tuple(getattr(cell.recipe, name) for name in names), {})
        label = column_label(sweep, cell.recipe)
        columns[label] = None
        row.setdefault(label, []).append(cell)
    eval_archs = _eval_archs(chosen)
    rows = [
        _row(sweep, dict(zip(names, values, strict=True)), row, found, arch)
        for values, row in groups.items()
        for arch in eval_archs or [""]
    ]
    rows = _corrected([row for row in rows if row])
    return Table(sweep.axis, naming.axis(sweep), list(columns), rows, eval_archs, naming.notes(sweep))


def _eval_archs(cells: Sequence[Cell]) -> list[str]:
    archs = [cell.recipe.eval_archs.split("+") for cell in cells]
    return list(dict.fromkeys(itertools.chain(*archs))) if max(map(len, archs)) > 1 else []


def _row(
    sweep: Sweep, setting: dict[str, Any], row: dict[str, list[Cell]], found: Mapping[str, Result], arch: str
) -> Row:
    """One row with the accuracies of ``arch``, or of the only evaluated architecture if it is empty."""
    entries: Row = {}
    reference: Entry | None = None
    for column, cells in row.items():  # the baseline comes first
        recipe, done = cells[0].recipe, [found[cell.key] for cell in cells if cell.key in found]
        if arch and arch not in recipe.eval_archs.split("+"):
            continue
        evaluated = arch or recipe.eval_archs
        samples = _samples(done, evaluated)
        values = [accuracy for networks in samples.values() for accuracy in networks]
        entries[column] = Entry(
            recipe=recipe, setting=setting, column=column, eval_arch=evaluated, baseline=sweep.is_baseline(recipe),
            mean=statistics.fmean(values) if values else None, std=statistics.pstdev(values) if values else None,
            n=len(values), difference=None, cells=len(cells), done=len(done),
            failed=_failed(sweep, cells, found), samples=samples,
            given_up=sum(bool(_given_up(sweep, cell)) and cell.key not in found for cell in cells),
        )  # fmt: skip
        if entries[column].baseline:
            reference = entries[column]
        elif reference:
            entries[column] = _compared(entries[column], reference)
    return entries


def _failed(sweep: Sweep, cells: Sequence[Cell], found: Mapping[str, Result]) -> tuple[str, ...]:
    """The reasons of the cells that failed: with a result (the loss diverged), or without one, as the queue says."""
    results = [found.get(cell.key) for cell in cells]
    reasons = [
        (result.reason or NO_REASON) if result and result.state == "failed" else "" if result else reason
        for result, reason in zip(results, (_given_up(sweep, cell) for cell in cells), strict=True)
    ]
    return tuple(filter(None, reasons))


def _given_up(sweep: Sweep, cell: Cell) -> str:
    progress = sweep.progress.get(cell.key)
    return progress.reason if progress and progress.state == "failed" else ""


def _samples(done: Iterable[Result], evaluated: str) -> dict[int, list[float]]:
    samples: dict[int, list[float]] = {}
    for result in done:
        if accuracies := result.accuracies.get(evaluated):
            samples.setdefault(result.recipe.seed, []).extend(accuracies)
    return samples


def _compared(entry: Entry, reference: Entry) -> Entry:
    """An entry, compared with the baseline of its row if both are finished."""
    if entry.mean is None or reference.mean is None:
        return entry
    verdict = significance.compare(entry.samples, reference.samples)
    return replace(entry, difference=entry.mean - reference.mean, verdict=verdict)


def _corrected(rows: list[Row]) -> list[Row]:
    """The rows with p values corrected for the number of comparisons in the table."""
    tested = [entry.verdict.p for row in rows for entry in row.values() if entry.verdict]
    corrected = iter(significance.holm(tested))
    return [
        {
            column: replace(entry, verdict=replace(entry.verdict, corrected=next(corrected)))
            if entry.verdict
            else entry
            for column, entry in row.items()
        }
        for row in rows
    ]


def where(sweep: Sweep, text: str) -> tuple[Cell, ...]:
    """Select the cells for which the condition ``text`` holds, in their order.

    The baseline of a row is kept as long as any cell of the row is: it has no PTMs, so ``n_models > 1`` never holds for
    it, and without it there would be nothing to compare with.

    Args:
        sweep: the sweep.
        text: about the fields of the recipe, and ``n_archs`` (N_a). ``source`` is the dataset's own name, as tables
            show it.

    Raises:
        UserError: it is not a valid condition, or holds for no cell.
    """
    try:
        condition = Expression.parse(text, CONDITION_NAMES)
        chosen = {cell.key for cell in sweep.cells if condition.holds(_choices(cell.recipe))}
    except UserError as error:
        raise UserError(f"--where: {error}") from None
    guided = (cell for cell in sweep.cells if cell.key in chosen and not sweep.is_baseline(cell.recipe))
    rows = {_compared_with(sweep, cell) for cell in guided}
    kept = tuple(
        cell
        for cell in sweep.cells
        if cell.key in chosen or (sweep.is_baseline(cell.recipe) and _compared_with(sweep, cell) in rows)
    )
    if not kept:
        raise UserError(f"--where: {text!r} holds for none of the {len(sweep.cells)} cells of {sweep.full_name}")
    return kept


def _choices(recipe: Recipe) -> dict[str, Any]:
    return recipe.model_dump() | {"source": recipe.source_dataset if recipe.source else "", "n_archs": recipe.n_archs}


def _compared_with(sweep: Sweep, cell: Cell) -> tuple[Any, ...]:
    """The setting and the seed, which a cell shares with its baseline."""
    names = [name for name in sweep.swept if name not in (*sweep.axis, *sweep.baseline)]
    return tuple(getattr(cell.recipe, name) for name in [*names, "seed"])
