"""Two loops in turn: the package's and the plain one, timed, their memory and their operations counted."""

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
from ddsweep.numerics import Numerics

GRAIN = 0.2  # seconds: a turn is as many steps as take the plain loop so long


@dataclass(frozen=True)
class Conditions:
    """How loops are compared.

    Attributes:
        peaks: the most operations a second of the device, by precision.
        repeats: turns of each.
        grain: seconds of a plain turn, at least.
        busy: what a second is, see ``machine.now``.
    """

    peaks: dict[str, float]
    repeats: int = 5
    grain: float = GRAIN
    busy: bool = False


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        work: what was done.
        precision: of the package's loop.
        compile: whether that was compiled.
        together: whether its classes, or networks, went as one batch.
        plain_s: seconds a step of the plain loop, a turn each.
        fast_s: seconds a step of the package's loop, a turn each.
        warm_up_s: seconds of its first step.
        operations: of the plain step, counted by torch in the operators that it called; matrix products and
            convolutions only.
        peaks: the most operations a second of this device in float32, and at ``precision``.
        plain_bytes: most memory allocated in plain turns, with the data of both; 0 on a CPU, where nothing counts it.
        fast_bytes: likewise.
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
        """Median of the turns' ratios."""
        return statistics.median(slow / quick for slow, quick in zip(self.plain_s, self.fast_s, strict=True))

    def document(self) -> dict[str, Any]:
        """For ``--json``. Shares are of each loop's fastest turn, because the peak is the fastest of its kind too."""
        plain, quick = statistics.median(self.plain_s), statistics.median(self.fast_s)
        return asdict(self) | {
            "plain_median_s": plain, "fast_median_s": quick, "ratio": self.ratio, "images": self.work.images,
            "images_per_s": self.work.images / quick,
            "plain_share": self.operations / min(self.plain_s) / self.peaks[0],
            "fast_share": self.operations / min(self.fast_s) / self.peaks[1],
        }  # fmt: skip


@dataclass
class Turns:
    """Turns of both loops: called after every step of the package's, it runs the plain loop when that one's turn comes.

    Attributes:
        plain: the plain loop.
        precision: of the other one.
        device: where.
        under: how.
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
    _long: int = 1  # steps of a turn; one in the first, which is warm-up

    def begin(self) -> None:
        """Now: the first step of the package's loop."""
        machine.set_up(self.precision, self.device)
        self._reset_memory()
        self._began, self._steps = self._now(), 0

    def _now(self) -> float:
        return machine.now(self.device, self.under.busy)

    def __call__(self) -> bool:
        """A step has ended. True: that was the last."""
        self._steps += 1
        if self._steps < self._long:
            return False
        self.fast_s.append((self._now() - self._began) / self._long)
        self._note_memory("fast")
        machine.set_up("float32", self.device)
        if len(self.fast_s) == 1:
            with FlopCounterMode(display=False) as counter:
                next(self.plain)
            self.operations = float(counter.get_total_flops())
        self._reset_memory()
        self.plain_s.append(self._timed(self._long))
        self._note_memory("plain")
        if len(self.fast_s) == 1:
            self._long = max(1, math.ceil(self.under.grain / self.plain_s[0]))
        self.begin()
        return len(self.fast_s) > self.under.repeats

    def _timed(self, steps: int) -> float:
        began = self._now()
        for _ in range(steps):
            next(self.plain)
        return (self._now() - began) / steps

    def _reset_memory(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(self.device)

    def _note_memory(self, whose: str) -> None:
        if self.device.startswith("cuda") and self.plain_s:  # not in the warm-up, where libraries try out algorithms
            self.bytes[whose] = max(self.bytes[whose], torch.cuda.max_memory_allocated(self.device))


def compare(work: Work, numerics: Numerics, under: Conditions) -> Row:
    """Both loops in turn."""
    torch.compiler.reset()
    turns = Turns(plainly(work), numerics.precision, work.device, under)
    turns.begin()
    fast(work, numerics, turns)
    peaks = under.peaks["float32"], under.peaks[numerics.precision]
    return Row(
        work, numerics.precision, numerics.compile, numerics.batched, turns.plain_s[1:], turns.fast_s[1:],
        turns.fast_s[0], turns.operations, peaks, turns.bytes["plain"], turns.bytes["fast"],
    )  # fmt: skip
