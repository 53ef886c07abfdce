"""A table, alone or beside another one, as records for CSV and JSON, or as Markdown.

Files for scripts contain fractions under the names of the recipe; Markdown is in percent.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from ddsweep import markup
from ddsweep.markup import markdown
from ddsweep.results.states import State
from ddsweep.results.tables import by_group, layout, naming
from ddsweep.results.tables.comparison import Comparison, Line
from ddsweep.results.tables.layout import Grid
from ddsweep.results.tables.table import BASELINE, Entry, Table, average_gain

Record = dict[str, Any]
STATES = {state: state.value.replace(" ", "_") for state in State}
NUMBERS = {
    "accuracy", "accuracy_std", "baseline", "n", "difference", "cells", "seeds", "rule", "test", "paired_by", "pairs",
    "common_seeds", "p", "p_holm", "average_gain", "reasons", *STATES.values(), *by_group.NAMES,
    *(f"{name}_difference" for name in by_group.NAMES),
}  # fmt: skip
"""Names in a record that are not part of its ``identity``; neither are names that begin with ``against``."""


def records(shown: Table | Comparison) -> list[Record]:
    """One flat record per entry, accuracies as fractions; ``against_…`` is the number it is compared with."""
    if isinstance(shown, Table):
        names = by_group.shown(shown)
        return [_record(shown, entry, names) for entry in shown.entries]
    names = by_group.shown(shown.table)
    return [_record(shown.table, line.entry, names) | _against(shown.name, line) for line in shown.lines]


def as_json(lines: Sequence[Record]) -> str:
    """Records as JSON."""
    return json.dumps(lines, indent=2, ensure_ascii=False)


def as_csv(lines: Sequence[Record]) -> str:
    """Records as CSV with a header of all names; a value that a record lacks is empty, and no text is a formula."""
    out = io.StringIO()
    names = list(dict.fromkeys(name for line in lines for name in line))
    writer = csv.DictWriter(out, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: markup.spreadsheet(value) for name, value in line.items()} for line in lines)
    return out.getvalue().rstrip("\n")


def as_markdown(shown: Table | Comparison) -> str:
    """Mean ± std and differences in percent; below a comparison, which settings differ."""
    if isinstance(shown, Table):
        grid = layout.by_eval_arch(shown) if shown.eval_archs else layout.by_axis(shown)
        remarks = [layout.statement(shown), *layout.notes(shown), *layout.failures(shown)]
        return "\n\n".join(filter(None, [pipes(grid), *map(markdown, remarks), *_by_group(shown)]))
    remarks = [*layout.remarks(shown), *layout.notes(shown.table), *layout.failures(shown.table)]
    return "\n\n".join([pipes(layout.compared(shown)), *map(markdown, remarks), *_by_group(shown.table)])


def _by_group(table: Table) -> list[str]:
    return [pipes(by_group.across(table)), markdown(by_group.CAPTION)] if by_group.shown(table) else []


def pipes(grid: Grid) -> str:
    """A grid as a Markdown table."""
    lines = [list(map(markdown, line)) for line in grid.lines]
    for index in grid.bold:
        lines[index] = [f"**{text}**" if text else "" for text in lines[index]]
    head = [f"| {' | '.join(map(markdown, grid.heads))} |", f"|{'---|' * len(grid.heads)}"]
    return "\n".join(head + [f"| {' | '.join(line)} |" for line in lines])


def identity(table: Table, entry: Entry) -> Record:
    """What identifies a record within its table: setting, axis and evaluated architecture."""
    evaluated: Record = {"eval_arch": entry.eval_arch} if table.eval_archs else {}
    setting = {name: plain(value) for name, value in entry.setting.items()}
    return setting | _place(table, entry) | evaluated


def plain(value: Any) -> Any:
    """A value as a script reads it and ``--set`` accepts it: whole numbers without a decimal point."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < naming.WHOLE else value


def states(entry: Entry) -> Record:
    """The number of cells, of those in each state, and why they failed, were pruned, or are left out."""
    counts = {name: entry.counts[state] for state, name in STATES.items()}
    return {"cells": len(entry.cells)} | counts | {"reasons": "; ".join(entry.reasons(*State))}


def comparison(entry: Entry) -> Record:
    """The difference from the baseline and its test; ``paired_by`` is ``none`` where no seed is in common."""
    verdict, same = entry.verdict, {"baseline": entry.baseline, "difference": entry.difference}
    if verdict is None:
        return same | {"test": "", "paired_by": "", "pairs": 0, "common_seeds": 0, "p": None, "p_holm": None}
    return same | {
        "test": verdict.test, "paired_by": verdict.unit, "pairs": verdict.n, "common_seeds": verdict.common,
        "p": verdict.p, "p_holm": verdict.corrected,
    }  # fmt: skip


def _record(table: Table, entry: Entry, names: Sequence[str]) -> Record:
    numbers: Record = {
        "accuracy": entry.mean, "accuracy_std": entry.std, "n": entry.n, "seeds": len(entry.samples),
        "rule": entry.recipe.eval_rule,
    }  # fmt: skip
    gain: Record = {}
    if table.eval_archs:  # of the whole setting, so it is the same for each of its architectures
        rows = next(rows for rows in table.settings if any(entry in row.values() for row in rows))
        gain = {"average_gain": average_gain(rows, entry.column)}
    numbers |= by_group.record(entry, table.baseline_of(entry), names)
    return identity(table, entry) | numbers | comparison(entry) | states(entry) | gain


def _place(table: Table, entry: Entry) -> Record:
    """The values of the axis under their own names, one per parameter, so that scripts need not split a text."""
    values = {name: plain(naming.shown(entry.recipe, name)) for name in table.axes}
    return dict.fromkeys(values, BASELINE) if entry.column == BASELINE else values


def _against(name: str, line: Line) -> Record:
    other = line.other
    return {
        "against": name,
        "against_accuracy": other.mean if other else None,
        "against_std": other.std if other else None,
        "against_difference": line.difference,
        "against_overlap": line.overlap,
        "against_note": other.note if other else "",
    }
