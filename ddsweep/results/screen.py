"""The table of a sweep, alone or against another, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddsweep.results import layout
from ddsweep.results.against import Comparison
from ddsweep.results.layout import Grid, setting_label
from ddsweep.results.table import Entry, Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable

LINES = ("accuracy", "± std", "vs baseline")


def render(shown: Table | Comparison, width: int) -> RichTable:
    """A table, alone or against another, in at most ``width`` columns if that can be."""
    if isinstance(shown, Comparison):
        return _grid(layout.compared(shown))
    return _grid(layout.by_eval_arch(shown)) if shown.eval_archs else _by_axis(shown, width)


def _grid(grid: Grid) -> RichTable:
    """Lines of text, one group for each setting; a label that repeats the line above is left out."""
    screen = _empty()
    for index, head in enumerate(grid.heads):
        screen.add_column(head, justify="left" if index < grid.labels else "right", no_wrap=True)
    above: list[str] = []
    for texts in grid.lines:
        equal = 0  # leading labels, never the last
        while above and equal < grid.labels - 1 and texts[equal] == above[equal]:
            equal += 1
        if above and grid.labels > 1 and equal == 0:
            screen.add_section()
        screen.add_row(*[""] * equal, *texts[equal:])
        above = texts
    return screen


def _empty() -> RichTable:
    from rich import box
    from rich.table import Table as RichTable

    return RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))


def _by_axis(table: Table, width: int) -> RichTable:
    """The axis across the screen where it fits into ``width`` columns, else down the screen."""
    labels = [setting_label(row) for row in table.rows]
    first = max((len(label) for label in [*labels, table.axis, "accuracy"]), default=0) + 14
    across = first + sum(max(len(column), 5) + 2 for column in table.columns) <= width
    screen = _empty()
    screen.add_column(table.axis, no_wrap=True)
    if not across:
        for label in labels:
            screen.add_column(label or "accuracy", justify="right", no_wrap=True)
            screen.add_column("vs baseline", justify="right", style="dim")
        for column in table.columns:
            places = [row.get(column) for row in table.rows]
            screen.add_row(column, *(text for entry in places for text in (_mean_std(entry), line(entry, 2))))
        return screen
    for column in table.columns:
        screen.add_column(column, justify="right", no_wrap=True)
    for label, row in zip(labels, table.rows, strict=True):
        for index, name in enumerate(LINES):
            head = f"{label}  {name}" if label and index == 0 else name
            style = "bold" if index == 0 else "dim"
            screen.add_row(head, *(line(row.get(column), index) for column in table.columns), style=style)
    return screen


def line(entry: Entry | None, index: int) -> str:
    """One of the three lines of an entry: mean, std, difference to the baseline; per cent."""
    if entry is None or entry.mean is None or entry.std is None:
        return "failed" if index == 0 and entry is not None and entry.failed else "·"
    difference = "–" if entry.difference is None else f"{100 * entry.difference:+.1f}"
    return (f"{100 * entry.mean:.1f}", f"{100 * entry.std:.1f}", difference)[index]


def _mean_std(entry: Entry | None) -> str:
    mean = line(entry, 0)
    return mean if mean in ("·", "failed") else f"{mean} ± {line(entry, 1)}"


def caption(table: Table) -> str:
    """What the numbers are: ``mean ± std over 3 networks``."""
    counts = sorted({entry.n for entry in table.entries if entry.n})
    networks = "–".join(str(count) for count in ([counts[0], counts[-1]] if len(counts) > 1 else counts)) or "no"
    waiting = sum(entry.cells - entry.done for entry in table.entries)
    rest = f"; {waiting} cells not finished" if waiting else ""
    notes = "".join(f"; {note}" for note in table.notes)
    return f"test accuracy in per cent, mean ± std over {networks} networks a column{rest}{notes}"
