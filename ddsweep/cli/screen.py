"""The console that every command prints to: a text on it is never markup, and never controls the terminal.

Names of classes and folders, titles of sweeps, and reasons of failures come from users' files, and a folder may be
called ``[/data]``. Style is given beside a text (``style=``, ``rich.text.Text``), never inside it.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console as RichConsole
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ddsweep import characters

LONGEST = 10_000  # characters of a line


class Console(RichConsole):
    """A console for texts that may contain anything."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def legible(self, text: str) -> str:
        """A text as this console shows it: without controls, in characters that its encoding has."""
        shown = characters.printable(text)
        return shown if self.encoding.startswith("utf") else characters.encodable(shown, self.encoding)

    def render_str(self, text: str, **options: Any) -> Text:
        """A plain text (a line, a cell of a table) as this console shows it, and as its columns are measured."""
        return super().render_str(self.legible(text), **options)

    def render(self, renderable: Any, options: Any = None) -> Any:
        """Render, with the same done to styled texts."""
        if isinstance(renderable, Text) and (shown := self.legible(renderable.plain)) != renderable.plain:
            changed = renderable.blank_copy(shown)
            for span in renderable.spans if len(shown) == len(renderable.plain) else ():
                changed.stylize(span.style, span.start, span.end)
            renderable = changed
        return super().render(renderable, options)

    def say(self, text: str, style: str | None = None, *, fold: bool = False) -> None:
        """Print a text without the line breaks in it; with ``fold``, it continues on further lines of the screen."""
        self.print(" ".join(text.splitlines()), style=style, soft_wrap=not fold)

    def whole(self, table: Table) -> None:
        """Print a table at its own width: on a narrower screen its lines are folded, and no text is cut."""
        table.width = Measurement.get(self, self.options.update(width=LONGEST), table).maximum
        self.print(table, crop=False)


class Description(ProgressColumn):
    """What a bar shows the progress of."""

    def render(self, task: Task) -> Text:
        """Return the description as it is, on one line."""
        return Text(characters.one_line(task.description), "progress.description")


def bars(console: RichConsole, *columns: ProgressColumn, redirect_stdout: bool = True) -> Progress:
    """Progress bars that disappear at the end; a description is shown as it is."""
    shown = columns or (BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(Description(), *shown, console=console, transient=True, redirect_stdout=redirect_stdout)
