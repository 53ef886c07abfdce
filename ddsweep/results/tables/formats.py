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
from ddsweep.results.tables import layout
from ddsweep.results.tables.comparison import Comparison, Line
from ddsweep.results.tables.layout import Grid
from ddsweep.results.tables.significance import Verdict
from ddsweep.results.tables.table import BASELINE, Entry, Table, average_gain, axis_value

Record = dict[str, Any]
NUMBERS = {
    "accuracy", "accuracy_std", "baseline", "n", "difference", "cells", "done", "failed", "seeds", "test", "paired_by",
    "pairs", "p", "p_holm", "average_gain",
}  # fmt: skip
"""Names in a record that are not part of its ``identity``; neither are names that begin with ``against``."""


def records(shown: Table | Comparison) -> list[Record]:
    """One flat record per entry, accuracies as fractions; ``against_…`` is the number it is compared with."""
    if isinstance(shown, Table):
        return [_record(shown, entry) for entry in shown.entries]
    return [_record(shown.table, line.entry) | _against(shown.name, line) for line in shown.lines]


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
        remarks = [layout.statement(shown), *layout.failures(shown)]
        return "\n\n".join(filter(None, [pipes(grid), *map(markdown, remarks)]))
    remarks = [*layout.remarks(shown), *layout.failures(shown.table)]
    return "\n\n".join([pipes(layout.compared(shown)), *map(markdown, remarks)])


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
    return entry.setting | _place(table, entry) | evaluated


def _record(table: Table, entry: Entry) -> Record:
    numbers: Record = {
        "accuracy": entry.mean, "accuracy_std": entry.std, "baseline": entry.baseline, "n": entry.n,
        "difference": entry.difference, "cells": entry.cells, "done": entry.done, "failed": "; ".join(entry.failed),
        "seeds": len(entry.samples),
    }  # fmt: skip
    gain: Record = {}
    if table.eval_archs:  # of the whole setting, so it is the same for each of its architectures
        rows = next(rows for rows in table.settings if any(entry in row.values() for row in rows))
        gain = {"average_gain": average_gain(rows, entry.column)}
    return identity(table, entry) | numbers | _tested(entry.verdict) | gain


def _tested(verdict: Verdict | None) -> Record:
    if verdict is None:
        return {"test": "", "paired_by": "", "pairs": 0, "p": None, "p_holm": None}
    return {
        "test": verdict.test, "paired_by": verdict.unit, "pairs": verdict.n, "p": verdict.p,
        "p_holm": verdict.corrected,
    }  # fmt: skip


def _place(table: Table, entry: Entry) -> Record:
    """The values of the axis under their own names, one per parameter, so that scripts need not split a text."""
    if len(table.axes) == 1:
        return {table.axis: entry.column}
    return {name: BASELINE if entry.column == BASELINE else axis_value(entry.recipe, name) for name in table.axes}


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
