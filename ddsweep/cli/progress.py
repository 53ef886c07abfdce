"""Progress of one trial in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ddsweep.trackers.null import NullTracker

if TYPE_CHECKING:
    from rich.progress import Progress


class BarTracker(NullTracker):
    """A Rich bar that follows the phases."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None)

    def progress(self, phase: str, done: int, total: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, description=phase, completed=done, total=total)


@contextmanager
def one_trial(title: str) -> Iterator[NullTracker]:
    """A bar on stderr while the trial runs; nothing where there is no terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield NullTracker()
        return
    console.print(title)
    with Progress(console=console, transient=True) as progress:
        yield BarTracker(progress)
