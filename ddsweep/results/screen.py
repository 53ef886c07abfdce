"""The table of a sweep on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddsweep.results.formats import setting_label
from ddsweep.results.table import Entry, Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable

LINES = ("accuracy", "± std", "vs baseline")


def render(table: Table, width: int) -> RichTable:
    """The axis across the screen where it fits into ``width`` columns, else down the screen."""
    from rich import box
    from rich.table import Table as RichTable

    labels = [setting_label(row) for row in table.rows]
    first = max((len(label) for label in [*labels, table.axis, "accuracy"]), default=0) + 14
    across = first + sum(max(len(column), 5) + 2 for column in table.columns) <= width
    screen = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
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
    return f"test accuracy in per cent, mean ± std over {networks} networks a column{rest}"
