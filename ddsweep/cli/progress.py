"""The progress of work in this process: bars on a terminal, plain lines in a pipe or a log file."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ddsweep import text
from ddsweep.cli import console
from ddsweep.trackers import Tracker

if TYPE_CHECKING:
    from rich.progress import Progress

    from ddsweep.cli.screen import Console

PLAIN = 10.0  # seconds between two lines of progress without a terminal, as in ``launch``
CLOSEST = 1.0  # seconds between two lines when phases follow each other faster
ProgressCallback = Callable[[int, int], None]  # (done, total)


@contextmanager
def one_trial(title: str = "", *, data: bool = False) -> Iterator[Tracker]:
    """Show the progress of a trial: a bar on stderr if there is a terminal, otherwise plain lines.

    Args:
        title: what runs; empty: nothing is said about it.
        data: standard output is data (``--json``), so that lines go to stderr; otherwise they go to standard output.
    """
    out, err = console.stdout(), console.stderr()
    if err.is_terminal and (data or out.is_terminal):
        from ddsweep.cli import screen

        if title:
            err.say(title)
        with screen.bars(err) as progress:
            yield BarTracker(progress)
        return
    with Lines(err if data else out, title) as lines:
        yield LineTracker(lines)


@contextmanager
def several(total: int) -> Iterator[Callable[[str], ProgressCallback]]:
    """Show the progress of ``total`` jobs; the value starts a job by its title and returns its callback.

    On a terminal, there is one bar for all jobs and one for the current job, on stderr; otherwise, there are plain
    lines on standard output.
    """
    out, err = console.stdout(), console.stderr()
    if not err.is_terminal or not out.is_terminal:
        with Lines(out) as lines:
            yield lines.job
        return
    from ddsweep.cli import screen

    # the command's output appears above the bars
    with screen.bars(err, redirect_stdout=sys.stdout.isatty()) as progress:
        jobs, job = progress.add_task("all", total=total), progress.add_task("", total=None)
        started = 0

        def start(title: str) -> ProgressCallback:
            nonlocal started
            progress.update(jobs, completed=started)
            started += 1
            progress.reset(job, description=title, total=None)
            return lambda done, whole: progress.update(job, completed=done, total=whole)

        yield start


class BarTracker(Tracker):
    """Shows the phases of a trial as a progress bar."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None)

    def progress(self, phase: str, done: int, total: int) -> None:
        """Update the bar."""
        self._progress.update(self._task, description=phase, completed=done, total=total)


class LineTracker(Tracker):
    """Shows the phases of a trial as lines."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def progress(self, phase: str, done: int, total: int) -> None:
        """Remember the step; the next line shows it."""
        self._lines.update(phase, done, total)


class Lines:
    """Prints a line soon after a phase has begun, and every ten seconds, also while a step takes longer than that.

    A thread prints the lines, because the first step may compile its code for minutes and reports nothing meanwhile.

    Args:
        out: where to print.
        title: printed at once; empty: nothing is.
    """

    def __init__(self, out: Console, title: str = "") -> None:
        self._out, self._title = out, title
        self._phase, self._done, self._total = "starting", 0, 0
        self._began = time.monotonic()
        self._first: tuple[float, int] | None = None  # when the first step of the phase ended, and its number
        self._last = self._began  # when its last step ended
        self._compiled = 0  # functions that were compiled by the end of the last step
        self._changed, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._print, name="progress", daemon=True)

    def __enter__(self) -> Lines:
        if self._title:
            self._out.say(self._title)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._changed.set()
        self._thread.join()

    def job(self, title: str) -> ProgressCallback:
        """Begin a job; returns its callback."""
        self.update(title, 0, 0)
        return lambda done, total: self.update(title, done, total)

    def update(self, phase: str, done: int, total: int) -> None:
        """A phase has completed ``done`` of ``total`` steps; ``total`` is 0 while it is unknown."""
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._began, self._first = phase, now, None
            self._changed.set()
        elif done > self._done:
            self._first, self._last = self._first or (now, done), now
            self._compiled = _compiled_functions()
        self._done, self._total = done, total

    def line(self) -> str:
        """``  distill 62/100 · 14.2 steps/s · about 3 s left``."""
        now, parts = time.monotonic(), [self._phase]
        if self._total:
            parts[0] += f" {self._done}/{self._total}"
        if self._first is None:
            if _compiled_functions() > self._compiled and self._done < self._total:
                parts.append("compiling the first step")
            if now - self._began >= 1:
                parts.append(f"for {text.duration(now - self._began)}")
        elif self._done > self._first[1] and self._last > self._first[0]:
            rate = (self._done - self._first[1]) / (self._last - self._first[0])
            parts.append(text.pace(1 / rate, "step"))
            if self._done < self._total:
                parts.append(f"about {text.duration((self._total - self._done) / rate)} left")
        return f"  {' · '.join(parts)}"

    def _print(self) -> None:
        self._changed.set()
        self._ended.wait(CLOSEST)  # work that is done by then needs no line
        while True:
            self._changed.wait(PLAIN)
            if self._ended.is_set():
                return
            self._changed.clear()
            self._out.say(self.line())
            self._ended.wait(CLOSEST)


def _compiled_functions() -> int:
    """How many functions of this process are compiled; 0 before torch is imported, which this must not do."""
    numerics = sys.modules.get("ddsweep.numerics")
    return numerics.compiled_functions() if numerics else 0
