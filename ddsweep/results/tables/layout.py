"""Tables as lines of text, for the terminal and for Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from ddsweep.results.tables import naming, significance
from ddsweep.results.tables.comparison import Comparison, Line
from ddsweep.results.tables.paper import MARKS
from ddsweep.results.tables.table import Entry, Row, Table, average_gain, setting_of
from ddsweep.text import joined


@dataclass(frozen=True)
class Grid:
    """Lines of text with column heads.

    Attributes:
        heads: the heads, one per column.
        labels: number of label columns, which come first; the others are numbers.
        lines: the texts, one list per line.
        bold: indices of the lines that are bold.
    """

    heads: list[str]
    labels: int
    lines: list[list[str]]
    bold: frozenset[int] = frozenset()


def setting_label(row: Row) -> str:
    """Return the setting of a row: ``dm · IPC 10``."""
    return naming.setting(setting_of(row), as_paper=False)


def mean_std(mean: float | None, std: float | None, failed: bool = False) -> str:
    """Return ``88.2 ± 0.4`` in percent; without a mean, ``failed`` or ``–``."""
    if mean is None:
        return "failed" if failed else "–"
    return f"{100 * mean:.1f}" if std is None else f"{100 * mean:.1f} ± {100 * std:.1f}"


def plain(entry: Entry) -> str:
    """Return ``88.2 ± 0.4 (+2.1*)``; without a mean, ``failed`` or ``–``."""
    text = mean_std(entry.mean, entry.std, bool(entry.failed))
    return text if entry.difference is None else f"{text} ({points(entry.difference)}{mark(entry)})"


def mark(entry: Entry) -> str:
    """Return ``*`` or ``**`` for a significant difference (``significance``)."""
    return entry.verdict.mark if entry.verdict else ""


def points(difference: float | None) -> str:
    """Return a difference in percentage points, as ``+2.1``; empty for None."""
    # rounded first: 5.15 is printed as 5.2, although its float is slightly smaller and would give 5.1
    return "" if difference is None else f"{round(100 * difference, 6):+.1f}".replace("-0.0", "+0.0")


def by_axis(table: Table) -> Grid:
    """Return values of the axis as lines and settings as columns; each entry with the difference to its baseline."""
    names = [setting_label(row) or "accuracy" for row in table.rows]
    lines = [[column, *(plain(row[column]) if column in row else "" for row in table.rows)] for column in table.columns]
    return Grid([naming.field(table.axis), *names], 1, lines)


def by_eval_arch(table: Table) -> Grid:
    """Return settings and values of the axis as lines, evaluated architectures as columns, with the average gain."""
    lines = []
    for rows in table.settings:
        label = setting_label(rows[0])
        for column in table.columns:
            entries = {row[column].eval_arch: row[column] for row in rows if column in row}
            if not entries:
                continue
            numbers = [_marked(entries.get(arch)) for arch in table.eval_archs]
            lines.append([label, column, *numbers, points(average_gain(rows, column)) or "–"])
    heads = ["setting", naming.field(table.axis), *table.eval_archs, "average gain"]
    return without_empty(Grid(heads, 2, lines))


def _ours(entry: Entry | None) -> str:
    """Return ``88.2 ± 0.4``; empty if the table has no entry."""
    return mean_std(entry.mean, entry.std, bool(entry.failed)) if entry else ""


def _marked(entry: Entry | None) -> str:
    return _ours(entry) + mark(entry) if entry else ""


def statement(table: Table) -> str:
    """Return the significance test behind the marks of a table, with the number of pairs."""
    return significance.statement(table.verdicts)


def failures(table: Table) -> list[str]:
    """Return a line per entry with failed cells, and why they failed: ``failed: dm · IPC 10 · α 5: the disk was …``."""
    lines: dict[str, None] = {}
    for row in table.rows:
        for entry in row.values():
            place = joined(setting_label(row), f"{naming.field(table.axis)} {naming.label(table.axis, entry.column)}")
            lines.update({f"failed: {place}: {reason}": None for reason in entry.failed})
    return list(lines)


def compared(comparison: Comparison) -> Grid:
    """Return one entry per line: this sweep's accuracy, the other, the difference, and whether mean ± std overlap."""
    table = comparison.table
    heads = ["setting", "evaluated", naming.field(table.axis), "accuracy", comparison.name, "difference", "overlap"]
    return without_empty(Grid(heads, 3, [_compared(line, bool(table.eval_archs)) for line in comparison.lines]))


def _compared(line: Line, several: bool) -> list[str]:
    entry, other = line.entry, line.other
    return [
        setting_label({entry.column: entry}),
        entry.eval_arch if several else "",
        entry.column,
        _ours(entry),
        f"{mean_std(other.mean, other.std)} {other.mark}".rstrip() if other else "",
        points(line.difference),
        "" if line.overlap is None else "yes" if line.overlap else "no",
    ]


def without_empty(grid: Grid) -> Grid:
    """Drop the label columns that are empty in every line."""
    kept = [i for i in range(len(grid.heads)) if i >= grid.labels or any(line[i] for line in grid.lines)]
    labels = sum(i < grid.labels for i in kept)
    return Grid([grid.heads[i] for i in kept], labels, [[line[i] for i in kept] for line in grid.lines])


def remarks(comparison: Comparison) -> list[str]:
    """Return the footer of a comparison: the count of numbers found, the caveat, and the meaning of the marks."""
    found = [line.other for line in comparison.lines if line.other]
    count = f"{len(found)} of {len(comparison.lines)} entries have a number in {comparison.title}"
    marks = [f"{mark}: {text}" for mark, text in MARKS.items() if any(other.mark == mark for other in found)]
    return [count, *filter(None, [comparison.caveat]), *marks]
