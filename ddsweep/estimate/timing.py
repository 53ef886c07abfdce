"""Seconds per step of a loop, timed at its boundaries: the warm-up is discarded, and medians ignore outliers."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

# Minimum seconds of an interval: shorter steps are timed together, so that the GPU is not synchronized after each.
GRAIN = 0.05
SETTLED = 1.5  # steps have settled once two consecutive intervals differ by less than this factor
PATIENCE = 4  # steps that never settle: stop after this multiple of the requested seconds and this many intervals
USUAL = 0.1  # relative uncertainty of the median of many steps: later ones run beside other work
FEW = 0.4  # of a single interval, which may include a warm-up
MOST = 0.5  # of steps of any scatter
IN_PART = 0.15  # of a time that is extrapolated from a part, as if it were proportional to the size


@dataclass(frozen=True)
class Pace:
    """Seconds per step.

    Attributes:
        steps: seconds per step, by the position of the step in the cycle.
        warm_up: total extra seconds of the first steps.
        cold: further extra seconds of the very first steps, when the cache of compiled kernels is empty.
        doubt: relative uncertainty of the seconds.
    """

    steps: tuple[float, ...]
    warm_up: float = 0.0
    cold: float = 0.0
    doubt: float = USUAL

    def times(self, factor: float) -> Pace:
        """Return the pace of ``factor`` times the work; warm-up and cold start stay."""
        return replace(self, steps=tuple(step * factor for step in self.steps))


class Watch:
    """A stopwatch for the steps of a loop, which decides when it has measured enough.

    Args:
        seconds: measuring time, from the end of the first interval.
        sync: waits until the device has finished its work.
        cycle: number of steps after which the sequence of steps repeats: 2 if first and later steps alternate.
        limit: seconds from the start after which one interval of each step in the cycle has to do.
    """

    def __init__(self, seconds: float, sync: Callable[[], object], cycle: int = 1, limit: float = float("inf")) -> None:
        self._seconds, self._sync, self._cycle = seconds, sync, cycle
        self._ends = time.perf_counter() + limit
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
        fewest = min(map(len, self._found))
        if self._began is None or fewest < 2:
            return fewest == 1 and self._last > self._ends
        elapsed = self._last - self._began
        if all(map(_settled, self._found)):
            return elapsed >= self._seconds
        return elapsed >= PATIENCE * self._seconds and min(map(len, self._found)) >= PATIENCE

    @property
    def pace(self) -> Pace:
        """The pace of the measured steps."""
        found = [pace(intervals) for intervals in self._found]
        uncertain = max(map(doubt, self._found))
        return Pace(tuple(step for step, _ in found), sum(warm_up for _, warm_up in found), doubt=uncertain)


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


def doubt(intervals: Sequence[tuple[int, float]]) -> float:
    """Return the relative uncertainty of ``pace``: twice the standard error of the second half, above ``USUAL``."""
    rates = [seconds / steps for steps, seconds in intervals[len(intervals) // 2 :]]
    if len(intervals) < 2:
        return FEW
    error = statistics.stdev(rates) / math.sqrt(len(rates)) if len(rates) > 1 else 0.0
    return min(MOST, USUAL + 2 * error / statistics.fmean(rates))


def _settled(intervals: Sequence[tuple[int, float]]) -> bool:
    (before, earlier), (steps, seconds) = intervals[-2:]
    return 1 / SETTLED < (seconds / steps) / (earlier / before) < SETTLED


def affordable(run: Callable[[int, float], Pace], whole: int, least: int, seconds: float, always: bool = False) -> Pace:
    """Return the pace of work of size ``whole``, extrapolated from the largest size that fits into ``seconds``.

    A step of DC on a CPU may take minutes. The size ``least`` is therefore run first and determines the affordable
    size; the time is taken as proportional to the size. If that has already taken too long, nothing else is run.

    Args:
        run: measures steps of a given size for a number of seconds; 0: as few steps as possible.
        whole: the requested size.
        least: a size that is fast on any device.
        seconds: measuring time.
        always: measure for ``seconds`` even then, because the pilot is not like other steps.
    """
    if whole <= least:
        return run(whole, seconds)
    began = time.perf_counter()
    pilot = run(least, 0.0)
    each = sum(pilot.steps) / least
    size = min(whole, max(least, int(seconds / (2 * max(each, 1e-9)))))
    long = not always and size == least and time.perf_counter() - began > seconds
    found = pilot if long else run(size, seconds)
    uncertain = found.doubt + (IN_PART if size < whole else 0.0)
    return replace(found.times(whole / size), doubt=uncertain)
