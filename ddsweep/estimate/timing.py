"""Seconds per step of a loop, timed at its boundaries: the warm-up is discarded, and medians ignore outliers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

# Minimum seconds of an interval: shorter steps are timed together, so that the GPU is not synchronized after each.
GRAIN = 0.05
SETTLED = 1.5  # steps have settled once two consecutive intervals differ by less than this factor
PATIENCE = 4  # steps that never settle: stop after this multiple of the requested seconds and this many intervals


@dataclass(frozen=True)
class Pace:
    """Seconds per step.

    Attributes:
        steps: seconds per step, by the position of the step in the cycle.
        warm_up: total extra seconds of the first steps.
        cold: further extra seconds of the very first steps, when the cache of compiled kernels is empty.
    """

    steps: tuple[float, ...]
    warm_up: float = 0.0
    cold: float = 0.0

    def times(self, factor: float) -> Pace:
        """Return the pace of ``factor`` times the work; warm-up and cold start stay."""
        return replace(self, steps=tuple(step * factor for step in self.steps))


class Watch:
    """A stopwatch for the steps of a loop, which decides when it has measured enough.

    Args:
        seconds: measuring time, from the end of the first interval.
        sync: waits until the device has finished its work.
        cycle: number of steps after which the sequence of steps repeats: 2 if first and later steps alternate.
    """

    def __init__(self, seconds: float, sync: Callable[[], object], cycle: int = 1) -> None:
        self._seconds, self._sync, self._cycle = seconds, sync, cycle
        self._found: list[list[tuple[int, float]]] = [[] for _ in range(cycle)]  # (steps, seconds)
        self._began: float | None = None
        self.start()

    def start(self) -> None:
        """Start the first step of a cycle."""
        self._sync()
        self._last, self._steps, self._place = time.perf_counter(), 0, 0

    def tick(self) -> bool:
        """Record the end of a step; return whether enough was measured."""
        self._steps += 1
        if self._cycle > 1 or time.perf_counter() - self._last >= GRAIN:
            self.flush()
        return self.enough

    def flush(self) -> None:
        """Close the current interval, at the latest when the loop ends."""
        if not self._steps:
            return
        self._sync()
        now = time.perf_counter()
        self._found[self._place].append((self._steps, now - self._last))
        self._last, self._steps, self._place = now, 0, (self._place + 1) % self._cycle
        self._began = self._began or now

    @property
    def enough(self) -> bool:
        """Whether the time is over and the steps have settled, or have not settled within ``PATIENCE``."""
        if self._began is None or min(map(len, self._found)) < 2:
            return False
        elapsed = self._last - self._began
        if all(map(_settled, self._found)):
            return elapsed >= self._seconds
        return elapsed >= PATIENCE * self._seconds and min(map(len, self._found)) >= PATIENCE

    @property
    def pace(self) -> Pace:
        """The pace of the measured steps."""
        found = [pace(intervals) for intervals in self._found]
        return Pace(tuple(step for step, _ in found), sum(warm_up for _, warm_up in found))


def pace(intervals: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return (seconds per step, extra seconds of the warm-up) of consecutive intervals, each as (steps, seconds).

    The warm-up is the first interval and those directly after it that are more than ``SETTLED`` times as slow as the
    median of the second half. The seconds per step are the median of the remaining intervals.
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
    """Return the pace of work of size ``whole``, extrapolated from the largest size that fits into ``seconds``.

    A step of DC on a CPU may take minutes. The size ``least`` is therefore run first and determines the affordable
    size; the time is taken as proportional to the size.

    Args:
        run: measures steps of a given size for a number of seconds; 0: as few steps as possible.
        whole: the requested size.
        least: a size that is fast on any device.
        seconds: measuring time.
    """
    if whole <= least:
        return run(whole, seconds)
    pilot = sum(run(least, 0.0).steps) / least
    size = min(whole, max(least, int(seconds / (2 * max(pilot, 1e-9)))))
    return run(size, seconds).times(whole / size)
