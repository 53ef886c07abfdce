"""A table, alone or against another, as csv, json or markdown. Files hold fractions, what people read per cent."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from ddsweep.results import layout
from ddsweep.results.against import Comparison, Line
from ddsweep.results.layout import Grid
from ddsweep.results.table import BASELINE, Entry, Table, average_gain, axis_value

Record = dict[str, Any]


def records(shown: Table | Comparison) -> list[Record]:
    """One flat record per entry, accuracies as fractions; ``against_…`` is what stands against it."""
    if isinstance(shown, Table):
        return [_record(shown, entry) for entry in shown.entries]
    return [_record(shown.table, line.entry) | _against(shown.name, line) for line in shown.lines]


def as_json(shown: Table | Comparison) -> str:
    """A list of records."""
    return json.dumps(records(shown), indent=2, ensure_ascii=False)


def as_csv(shown: Table | Comparison) -> str:
    """A line per record under a line of names."""
    lines = records(shown)
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().rstrip("\n")


def as_markdown(shown: Table | Comparison) -> str:
    """Mean ± std and differences in per cent; under a comparison, what is not equal on both sides."""
    if isinstance(shown, Table):
        return _pipes(layout.by_eval_arch(shown) if shown.eval_archs else layout.by_axis(shown))
    return "\n\n".join([_pipes(layout.compared(shown)), *layout.remarks(shown)])


def _pipes(grid: Grid) -> str:
    head = [f"| {' | '.join(grid.heads)} |", f"|{'---|' * len(grid.heads)}"]
    return "\n".join(head + [f"| {' | '.join(line)} |" for line in grid.lines])


def _record(table: Table, entry: Entry) -> Record:
    evaluated: Record = {"eval_arch": entry.eval_arch} if table.eval_archs else {}
    numbers = {
        "accuracy": entry.mean, "accuracy_std": entry.std, "baseline": entry.baseline, "n": entry.n,
        "difference": entry.difference, "cells": entry.cells, "done": entry.done, "failed": "; ".join(entry.failed),
    }  # fmt: skip
    gain: Record = {}
    if table.eval_archs:  # of the whole setting, so it is the same in each of its architectures
        rows = next(rows for rows in table.settings if any(entry in row.values() for row in rows))
        gain = {"average_gain": average_gain(rows, entry.column)}
    return entry.setting | _place(table, entry) | evaluated | numbers | gain


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
