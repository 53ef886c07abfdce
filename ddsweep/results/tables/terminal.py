"""The table of a sweep, alone or beside another one, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ddsweep import percent
from ddsweep.results.tables import by_group, layout, naming, significance
from ddsweep.results.tables.comparison import Comparison
from ddsweep.results.tables.layout import Grid, setting_label
from ddsweep.results.tables.table import Entry, Table
from ddsweep.sweep import Sweep

if TYPE_CHECKING:
    from rich.table import Table as RichTable

LINES = ("accuracy", "± std", "vs baseline")
MARKS = f"*{significance.UNPAIRED}"
SHARE = "cells done"  # a further line, where some entry has only part of its cells


def render(shown: Table | Comparison, width: int) -> RichTable:
    """Render a table, alone or beside another one, in at most ``width`` columns if possible."""
    if isinstance(shown, Comparison):
        return grid(layout.compared(shown))
    return grid(layout.by_eval_arch(shown)) if shown.eval_archs else _by_axis(shown, width)


def groups(table: Table, width: int) -> RichTable | None:
    """Render the accuracies by group, in at most ``width`` columns if possible; None for a table without them."""
    if not by_group.shown(table):
        return None
    wide = by_group.across(table)
    return grid(wide if fits(wide, width) else by_group.down(table))


def fits(lines: Grid, width: int) -> bool:
    """Whether ``grid`` fits into ``width`` columns of the terminal."""
    return _width(zip(lines.heads, *lines.lines, strict=True)) <= width


def _width(columns: Iterable[Sequence[str]]) -> int:
    """The width of columns of text with Rich's gaps between them."""
    return sum(3 + max(map(len, column)) for column in columns) - 1


def grid(lines: Grid) -> RichTable:
    """Render lines of text, one group per setting; a label that repeats the line above is left out."""
    screen = _empty()
    for index, head in enumerate(lines.heads):
        # texts that end in spaces are already aligned, and Rich would strip them
        left = index < lines.labels or any(line[index].endswith(" ") for line in lines.lines)
        screen.add_column(head, justify="left" if left else "right", no_wrap=True)
    above: list[str] = []
    for index, texts in enumerate(lines.lines):
        equal = 0  # leading labels, never the last
        while above and equal < lines.labels - 1 and texts[equal] == above[equal]:
            equal += 1
        if above and lines.labels > 1 and equal == 0:
            screen.add_section()
        screen.add_row(*[""] * equal, *texts[equal:], style="bold" if index in lines.bold else None)
        above = texts
    return screen


def _empty() -> RichTable:
    from rich import box
    from rich.table import Table as RichTable

    return RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))


def _by_axis(table: Table, width: int) -> RichTable:
    """The axis across the screen if it fits into ``width`` columns, else down the screen, else one entry per line."""
    labels = [setting_label(row, table.labels) for row in table.rows]
    stars = max((len(layout.mark(entry)) for entry in table.entries), default=0)
    lines = (*LINES, SHARE) if any(layout.share(entry) for entry in table.entries) else LINES
    heads = [f"{label}  {name}" if label and name == LINES[0] else name for label in labels for name in lines]
    columns = [[naming.field(table.axis), *heads]]
    for column in table.columns:
        texts = [line(row.get(column), name) for row in table.rows for name in lines]
        columns.append(_below([column, *texts], stars))
    if _width(columns) <= width:
        return _axis_across(columns, len(lines))
    below = _settings_across(table, labels, stars)
    return grid(below if fits(below, width) else _entry_per_line(table, labels, stars))


def _axis_across(columns: Sequence[Sequence[str]], lines: int) -> RichTable:
    """Columns of aligned texts, head first; the first of every ``lines`` lines is bold."""
    screen = _empty()
    for head, *_ in columns:
        screen.add_column(head, no_wrap=True)
    for index, texts in enumerate(zip(*(column[1:] for column in columns), strict=True)):
        screen.add_row(*texts, style="dim" if index % lines else "bold")
    return screen


def _settings_across(table: Table, labels: list[str], stars: int) -> Grid:
    heads, columns = [naming.field(table.axis)], [table.columns]
    for label, row in zip(labels, table.rows, strict=True):
        entries = [row.get(column) for column in table.columns]
        head, *differences = _below([LINES[2], *(line(entry, LINES[2]) for entry in entries)], stars)
        heads += [label or "accuracy", head]
        columns += [[_mean_std(entry) for entry in entries], differences]
    return Grid(heads, 1, [list(texts) for texts in zip(*columns, strict=True)])


def _entry_per_line(table: Table, labels: list[str], stars: int) -> Grid:
    places = [
        (label, column, row[column])
        for label, row in zip(labels, table.rows, strict=True)
        for column in table.columns
        if column in row
    ]
    head, *differences = _below([LINES[2], *(line(entry, LINES[2]) for *_, entry in places)], stars)
    lines = [
        [label, column, _mean_std(entry), difference]
        for (label, column, entry), difference in zip(places, differences, strict=True)
    ]
    return Grid(["setting", naming.field(table.axis), "accuracy", head], 2, lines)


def line(entry: Entry | None, name: str) -> str:
    """One of the ``LINES`` of an entry in percent, or its share of finished cells; ``·`` where there is nothing."""
    if entry is None or entry.mean is None or entry.std is None:
        return layout.absent(entry) if name == LINES[0] and entry is not None else "·"
    texts = {
        LINES[0]: percent.percent(entry.mean), LINES[1]: percent.percent(entry.std),
        LINES[2]: f"{layout.points(entry.difference) or '–'}{layout.mark(entry)}",
        SHARE: layout.share(entry).strip("[]") or "all",
    }  # fmt: skip
    return texts[name]


def _below(texts: list[str], stars: int) -> list[str]:
    """Right-align texts with their marks outside, so that digits stay below digits."""
    padded = [text + " " * (stars - (len(text) - len(text.rstrip(MARKS)))) for text in texts]
    width = max(map(len, padded))
    return [text.rjust(width) for text in padded]


def _mean_std(entry: Entry | None) -> str:
    return "·" if entry is None else layout.number(entry)


def caption(table: Table, sweep: Sweep) -> str:
    """The footer: what the numbers are (``mean ± std over 3 networks``), and what their marks mean."""
    notes = "".join(f"; {note}" for note in table.notes)
    about = f"test accuracy in percent, {layout.over(table.entries)}{notes}"
    tests = [layout.statement(table), significance.advice(table.verdicts, sweep)]
    return "\n".join(filter(None, [about, *tests, *layout.notes(table)]))
