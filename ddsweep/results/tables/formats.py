"""A table, alone or against another, as records for csv and json, or as markdown.

Files for scripts hold fractions, under the names of the recipe; what people read is in per cent.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

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
"""Names in a record that are not its ``identity``; those that begin with ``against`` are not either."""


def records(shown: Table | Comparison) -> list[Record]:
    """One flat record per entry, accuracies as fractions; ``against_…`` is what stands against it."""
    if isinstance(shown, Table):
        return [_record(shown, entry) for entry in shown.entries]
    return [_record(shown.table, line.entry) | _against(shown.name, line) for line in shown.lines]


def as_json(lines: Sequence[Record]) -> str:
    """A list of records."""
    return json.dumps(lines, indent=2, ensure_ascii=False)


def as_csv(lines: Sequence[Record]) -> str:
    """A line per record under a line of all their names; a record leaves empty what it does not have."""
    out = io.StringIO()
    names = list(dict.fromkeys(name for line in lines for name in line))
    writer = csv.DictWriter(out, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().rstrip("\n")


def as_markdown(shown: Table | Comparison) -> str:
    """Mean ± std and differences in per cent; under a comparison, what is not equal on both sides."""
    if isinstance(shown, Table):
        grid = layout.by_eval_arch(shown) if shown.eval_archs else layout.by_axis(shown)
        return "\n\n".join(filter(None, [pipes(grid), layout.statement(shown).replace("*", "\\*")]))
    return "\n\n".join([pipes(layout.compared(shown)), *layout.remarks(shown)])


def pipes(grid: Grid) -> str:
    """A grid as a table of markdown."""
    head = [f"| {' | '.join(grid.heads)} |", f"|{'---|' * len(grid.heads)}"]
    return "\n".join(head + [f"| {' | '.join(line)} |" for line in grid.lines])


def identity(table: Table, entry: Entry) -> Record:
    """What tells a record from the others of its table: setting, axis and evaluated architecture."""
    evaluated: Record = {"eval_arch": entry.eval_arch} if table.eval_archs else {}
    return entry.setting | _place(table, entry) | evaluated


def _record(table: Table, entry: Entry) -> Record:
    numbers: Record = {
        "accuracy": entry.mean, "accuracy_std": entry.std, "baseline": entry.baseline, "n": entry.n,
        "difference": entry.difference, "cells": entry.cells, "done": entry.done, "failed": "; ".join(entry.failed),
        "seeds": len(entry.samples),
    }  # fmt: skip
    gain: Record = {}
    if table.eval_archs:  # of the whole setting, so it is the same in each of its architectures
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
    """The values of the axis under their own names; several are not left in one text for a script to take apart."""
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
