"""What commands print with: data to stdout, talk to stderr, nothing wider than the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 100


def stdout() -> Console:
    """The console for data. Without a terminal: plain, and 100 columns wide."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)


def table(rows: Sequence[dict[str, Any]], heads: Sequence[str]) -> None:
    """Records in columns; numbers to the right."""
    from rich.table import Table

    screen = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head, value in zip(heads, (rows[0] if rows else {}).values(), strict=False):
        right = isinstance(value, int | float)
        screen.add_column(head, justify="right" if right else "left", overflow="fold", header_style="bold")
    for row in rows:
        screen.add_row(*(str(value) for value in row.values()))
    stdout().print(screen)
