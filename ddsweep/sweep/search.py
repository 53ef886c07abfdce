"""A search: where its points may lie, how many there are, and when one is given up before its end.

In words of a W&B sweep configuration: ``method``, ``run_cap``, ``distribution``, ``min``, ``max``, ``q``,
``early_terminate``. What is drawn, ``backends.search`` says: here is no randomness.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Number = int | float
ACCURACY = "accuracy"
COUNTED = 27  # iterations that a distillation has for ``early_terminate`` where ``max_iter`` does not say


@dataclass(frozen=True)
class Range:
    """Numbers to draw from.

    Attributes:
        distribution: W&B's name: ``uniform``, ``q_uniform``, ``int_uniform`` or ``log_uniform_values``.
        min: the least.
        max: the largest.
        q: what ``q_uniform`` draws multiples of.
    """

    distribution: str
    min: Number
    max: Number
    q: Number | None = None

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole ones."""
        return self.distribution == "int_uniform"

    @property
    def log(self) -> bool:
        """Whether every decade has the same chance."""
        return self.distribution == "log_uniform_values"

    def holds(self, value: Any) -> bool:
        """Whether ``value`` could have been drawn."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.min <= value <= self.max

    def written(self) -> dict[str, Any]:
        """As W&B writes it."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        return f"{self.min:g} … {self.max:g}{' (log)' if self.log else ''}"


@dataclass(frozen=True)
class Early:
    """``early_terminate``: at each band a trial goes on only if it is among the best ``1/eta`` that came so far.

    Attributes:
        eta: the factor between two bands, and of the trials that each lets pass.
        min_iter: the first band.
        max_iter: the iterations of a distillation; the last band lies one ``eta`` before it.
        s: how many bands there are below ``max_iter``.
    """

    eta: int = 3
    min_iter: int | None = None
    max_iter: int | None = None
    s: int | None = None

    @property
    def iterations(self) -> int:
        """In how many parts a distillation is counted."""
        return self.max_iter or COUNTED

    @property
    def bands(self) -> tuple[int, ...]:
        """The iterations at which it is decided, as W&B computes them; none at the end, where nothing is left."""
        if self.min_iter is None:
            below = [int(self.iterations / self.eta**power) for power in range(1, (self.s or 0) + 1)]
            return tuple(sorted({band for band in below if band >= 1}))
        most = math.ceil(math.log(self.iterations, self.eta)) + 1
        above = [self.min_iter * self.eta**power for power in range(most)]
        return tuple(band for band in above if band < self.iterations)

    def step(self, iteration: int, steps: int) -> int:
        """The distillation step, of ``steps``, at which an iteration ends."""
        return math.ceil(steps * iteration / self.iterations)

    def written(self) -> dict[str, Any]:
        """As W&B writes it."""
        return {"type": "hyperband"} | {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Search:
    """What makes a sweep a search.

    Attributes:
        method: ``random`` or ``bayes``.
        run_cap: how many points are drawn; the baseline comes on top.
        ranges: where numbers are drawn from, by field.
        early: when a trial is given up; None: never.
        objectives: names of final metrics, all maximised; with several there is a front and no single best.
    """

    method: str
    run_cap: int
    ranges: Mapping[str, Range]
    early: Early | None = None
    objectives: tuple[str, ...] = field(default=(ACCURACY,))

    def definition(self) -> dict[str, Any]:
        """The search as JSON; ``from_definition`` is its inverse."""
        return {
            "method": self.method, "run_cap": self.run_cap, "objectives": list(self.objectives),
            "ranges": {name: one.written() for name, one in self.ranges.items()},
            "early": self.early and {k: v for k, v in asdict(self.early).items() if v is not None},
        }  # fmt: skip

    @classmethod
    def from_definition(cls, value: Mapping[str, Any]) -> Search:
        """The search that ``definition()`` described. Raises KeyError or TypeError when nothing did."""
        ranges = {name: Range(**one) for name, one in value["ranges"].items()}
        early = Early(**value["early"]) if value["early"] else None
        return cls(value["method"], value["run_cap"], ranges, early, tuple(value["objectives"]))
