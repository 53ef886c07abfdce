"""How long the steps of a loop take, from its boundaries: what comes first is discarded, and hiccups do not count."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

GRAIN = (
    0.05  # seconds that are timed as one: shorter steps are taken together, so that a GPU is not made to wait at each
)
SETTLED = 1.5  # two intervals in a row that differ by less than this factor: what came before was the warm-up
PATIENCE = 4  # times the seconds that were asked for, and intervals, after which steps that never settle are enough


@dataclass(frozen=True)
class Pace:
    """Seconds a step.

    Attributes:
        steps: by the step's place in the cycle.
        warm_up: what the first steps took beyond that, in all.
        cold: what they took beyond that the very first time.
    """

    steps: tuple[float, ...]
    warm_up: float = 0.0
    cold: float = 0.0

    def times(self, factor: float) -> Pace:
        """That of ``factor`` times the work; the warm-up stays."""
        return replace(self, steps=tuple(step * factor for step in self.steps))


class Watch:
    """Told of each step's end; says when it has seen enough.

    Args:
        seconds: to measure for, from the end of the first step.
        sync: waits until the device has done what it was given.
        cycle: after how many steps the same step comes again: 2 where first and later steps take turns.
    """

    def __init__(self, seconds: float, sync: Callable[[], object], cycle: int = 1) -> None:
        self._seconds, self._sync, self._cycle = seconds, sync, cycle
        self._found: list[list[tuple[int, float]]] = [[] for _ in range(cycle)]  # (steps, seconds)
        self._began: float | None = None
        self.start()

    def start(self) -> None:
        """The next step begins now, and is the first of a cycle."""
        self._sync()
        self._last, self._steps, self._place = time.perf_counter(), 0, 0

    def tick(self) -> bool:
        """A step has ended; whether that is enough."""
        self._steps += 1
        if self._cycle > 1 or time.perf_counter() - self._last >= GRAIN:
            self.flush()
        return self.enough

    def flush(self) -> None:
        """Count what was not counted yet: the loop ends here."""
        if not self._steps:
            return
        self._sync()
        now = time.perf_counter()
        self._found[self._place].append((self._steps, now - self._last))
        self._last, self._steps, self._place = now, 0, (self._place + 1) % self._cycle
        self._began = self._began or now

    @property
    def enough(self) -> bool:
        """Whether the time is over and the steps have settled, or are not going to."""
        if self._began is None or min(map(len, self._found)) < 2:
            return False
        elapsed = self._last - self._began
        if all(map(_settled, self._found)):
            return elapsed >= self._seconds
        return elapsed >= PATIENCE * self._seconds and min(map(len, self._found)) >= PATIENCE

    @property
    def pace(self) -> Pace:
        """What was found."""
        found = [pace(intervals) for intervals in self._found]
        return Pace(tuple(step for step, _ in found), sum(warm_up for _, warm_up in found))


def pace(intervals: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """(seconds a step, seconds beyond that in the warm-up) of intervals, each as (steps, seconds), in their order.

    The first interval is warm-up, and so are those right after it that are ``SETTLED`` times as slow as the median of
    the second half. The pace is the median of the rest.
    """
    rates = [seconds / steps for steps, seconds in intervals]
    usual = statistics.median(rates[len(rates) // 2 :])
    cold = 1
    while cold < len(rates) - 1 and rates[cold] > SETTLED * usual:
        cold += 1
    step = statistics.median(rates[cold:] or rates)
    return step, sum(max(0.0, seconds - steps * step) for steps, seconds in intervals[:cold])


def _settled(intervals: Sequence[tuple[int, float]]) -> bool:
    (before, earlier), (steps, seconds) = intervals[-2:]
    return 1 / SETTLED < (seconds / steps) / (earlier / before) < SETTLED


def affordable(run: Callable[[int, float], Pace], whole: int, least: int, seconds: float) -> Pace:
    """The pace of work of size ``whole``, from as much of it as fits into ``seconds``; the time grows with the size.

    A step of DC on a CPU may take minutes. The least size is run first; it says how much can be had.

    Args:
        run: measures steps of some size for so many seconds; 0: as few as it can.
        whole: the size that is wanted.
        least: one that is quick anywhere.
        seconds: to measure for.
    """
    if whole <= least:
        return run(whole, seconds)
    pilot = sum(run(least, 0.0).steps) / least
    size = min(whole, max(least, int(seconds / (2 * max(pilot, 1e-9)))))
    return run(size, seconds).times(whole / size)
