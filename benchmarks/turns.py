"""Run ddsweep's loop and the plain loop in turn, in random order, and measure time, memory, and operations."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import machine
from benchmarks.steps import Work, fast, plainly
from ddsweep import rng
from ddsweep.numerics import Numerics

GRAIN = 0.2  # seconds: a turn has as many steps as the plain loop takes in this time


def orders(pairs: int) -> list[bool]:
    """Return for each pair of turns whether its first turn comes first: half of them, in random order.

    The loop that always runs second finds the caches and the memory that the first one leaves: plain turns that all
    followed ddsweep's were up to 44 % slower than in random order.
    """
    return (torch.randperm(pairs, generator=rng.generator(0, "turns")) % 2 == 0).tolist()


@dataclass(frozen=True)
class Conditions:
    """The conditions of a comparison.

    Attributes:
        peaks: the device's peak in operations per second, by precision.
        repeats: turns of each loop.
        grain: minimum seconds of a plain turn.
        busy: whether to measure CPU time, see ``machine.now``.
    """

    peaks: dict[str, float]
    repeats: int = 5
    grain: float = GRAIN
    busy: bool = False


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        work: the step.
        precision: precision of ddsweep's loop.
        compile: whether ddsweep's loop was compiled.
        together: whether its classes or networks were computed as one batch.
        plain_s: seconds per step of the plain loop, by turn.
        fast_s: seconds per step of ddsweep's loop, by turn.
        warm_up_s: seconds of ddsweep's first step.
        operations: matrix products and convolutions of the plain step, counted by torch in the operators it called.
        peaks: the device's peak in operations per second in float32, and at ``precision``.
        plain_bytes: peak memory allocated in plain turns, including the data of both loops; 0 on a CPU, where it is not
            measured.
        fast_bytes: likewise, in turns of ddsweep's loop.
    """

    work: Work
    precision: str
    compile: bool
    together: bool
    plain_s: list[float]
    fast_s: list[float]
    warm_up_s: float
    operations: float
    peaks: tuple[float, float]
    plain_bytes: int
    fast_bytes: int

    @property
    def ratio(self) -> float:
        """Return the median of the turns' ratios."""
        return statistics.median(slow / quick for slow, quick in zip(self.plain_s, self.fast_s, strict=True))

    def document(self) -> dict[str, Any]:
        """Return the row for ``--json``. Shares use each loop's fastest turn, because the peak is also a maximum."""
        plain, quick = statistics.median(self.plain_s), statistics.median(self.fast_s)
        return asdict(self) | {
            "plain_median_s": plain, "fast_median_s": quick, "ratio": self.ratio, "images": self.work.images,
            "images_per_s": self.work.images / quick,
            "plain_share": self.operations / min(self.plain_s) / self.peaks[0],
            "fast_share": self.operations / min(self.fast_s) / self.peaks[1],
        }  # fmt: skip


@dataclass
class Turns:
    """Turns of both loops: called after every step of ddsweep's loop, it runs the plain loop when its turn comes.

    The first pair of turns, of one step each, is warm-up: ddsweep's loop, then the plain one. After it, the order of
    each pair is random (``orders``).

    Attributes:
        plain: the plain loop.
        precision: precision of ddsweep's loop.
        device: device of both loops.
        under: conditions of the comparison.
    """

    plain: Iterator[None]
    precision: str
    device: str
    under: Conditions
    plain_s: list[float] = field(default_factory=list)
    fast_s: list[float] = field(default_factory=list)
    bytes: dict[str, int] = field(default_factory=lambda: {"plain": 0, "fast": 0})
    operations: float = 0.0
    _steps: int = 0
    _long: int = 1  # steps per turn; one in the first turn, which is warm-up

    def __post_init__(self) -> None:
        self._fast_first = [True, *orders(self.under.repeats)]

    def begin(self) -> None:
        """Start the clock for the first step of ddsweep's loop."""
        machine.set_up(self.precision, self.device)
        self._reset_memory()
        self._began, self._steps = self._now(), 0

    def _now(self) -> float:
        return machine.now(self.device, self.under.busy)

    def __call__(self) -> bool:
        """Record the end of a step; return True after the last one."""
        self._steps += 1
        if self._steps < self._long:
            return False
        self.fast_s.append((self._now() - self._began) / self._long)
        self._note_memory("fast")
        if self._fast_first[len(self.fast_s) - 1]:
            self._plain_turn()
        if len(self.fast_s) > self.under.repeats:
            return True
        if not self._fast_first[len(self.fast_s)]:
            self._plain_turn()
        self.begin()
        return False

    def _plain_turn(self) -> None:
        machine.set_up("float32", self.device)
        if not self.plain_s:
            with FlopCounterMode(display=False) as counter:
                next(self.plain)
            self.operations = float(counter.get_total_flops())
        self._reset_memory()
        self.plain_s.append(self._timed(self._long))
        self._note_memory("plain")
        if len(self.plain_s) == 1:
            self._long = max(1, math.ceil(self.under.grain / self.plain_s[0]))

    def _timed(self, steps: int) -> float:
        began = self._now()
        for _ in range(steps):
            next(self.plain)
        return (self._now() - began) / steps

    def _reset_memory(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(self.device)

    def _note_memory(self, whose: str) -> None:
        if self.device.startswith("cuda") and self.plain_s:  # not in the warm-up, when libraries try out algorithms
            self.bytes[whose] = max(self.bytes[whose], torch.cuda.max_memory_allocated(self.device))


def compare(work: Work, numerics: Numerics, under: Conditions) -> Row:
    """Run both loops in turn and return the measurements."""
    torch.compiler.reset()
    turns = Turns(plainly(work), numerics.precision, work.device, under)
    turns.begin()
    fast(work, numerics, turns)
    peaks = under.peaks["float32"], under.peaks[numerics.precision]
    return Row(
        work, numerics.precision, numerics.compile, numerics.vectorized, turns.plain_s[1:], turns.fast_s[1:],
        turns.fast_s[0], turns.operations, peaks, turns.bytes["plain"], turns.bytes["fast"],
    )  # fmt: skip
