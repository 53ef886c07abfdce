"""Progress of what runs in this process: one trial, or the training of PTMs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from ddsweep.trackers.null import NullTracker

if TYPE_CHECKING:
    from rich.progress import Progress

PLAIN = 10.0  # seconds between two lines where there is no terminal
Tell = Callable[[int, int], None]


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


@contextmanager
def several(total: int) -> Iterator[Callable[[str], Tell]]:
    """For each of ``total`` jobs, by its title, what to tell (done, total) of it; all on stderr.

    On a terminal a bar for the jobs and one for the job in hand; elsewhere a line every ten seconds.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda title: _Lines(title, partial(console.print, soft_wrap=True))
        return
    # what the command prints goes above the bars on a screen, and into the pipe otherwise
    with Progress(console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as progress:
        jobs, job = progress.add_task("all", total=total), progress.add_task("", total=None)
        begun = 0

        def begin(title: str) -> Tell:
            nonlocal begun
            progress.update(jobs, completed=begun)
            begun += 1
            progress.reset(job, description=title, total=None)
            return lambda done, whole: progress.update(job, completed=done, total=whole)

        yield begin


class _Lines:
    """Says how far a job is, not too often."""

    def __init__(self, title: str, say: Callable[[str], None]) -> None:
        self._title, self._say, self._last = title, say, time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._last >= PLAIN:
            self._last = time.monotonic()
            self._say(f"{self._title}: {done} of {total}")
