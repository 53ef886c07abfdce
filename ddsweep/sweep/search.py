"""A search: the ranges that its points are sampled from, how many there are, and when a trial is terminated early.

The terms are those of a W&B sweep configuration: ``method``, ``run_cap``, ``distribution``, ``min``, ``max``, ``q``,
``early_terminate``. The sampling itself is a backend's: there is no randomness here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ddsweep.errors import UserError, closest
from ddsweep.recipe import Recipe
from ddsweep.sweep.document import EarlyTerminate, Parameter, SweepFile

Number = int | float
ACCURACY = "accuracy"
DEFAULT_ITERATIONS = 27  # of ``early_terminate`` where the file gives no ``max_iter``

DISTRIBUTIONS = ("uniform", "q_uniform", "int_uniform", "log_uniform_values")
EXPONENTS = ("log_uniform", "q_log_uniform")  # W&B's: their min and max are exponents of e
PLAIN = ("constant", "categorical")  # W&B's names for value and values, which may be omitted
RANGE = ("distribution", "min", "max", "q")


@dataclass(frozen=True)
class Range:
    """An interval to sample from.

    Attributes:
        distribution: W&B's name: ``uniform``, ``q_uniform``, ``int_uniform`` or ``log_uniform_values``.
        min: the lower bound.
        max: the upper bound.
        q: the step of ``q_uniform``, which samples multiples of it.
    """

    distribution: str
    min: Number
    max: Number
    q: Number | None = None

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are sampled."""
        return self.distribution == "int_uniform"

    @property
    def log(self) -> bool:
        """Whether the sampling is uniform in the logarithm."""
        return self.distribution == "log_uniform_values"

    def to_wandb(self) -> dict[str, Any]:
        """The entry of a W&B sweep configuration."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        return f"{self.min:g} … {self.max:g}{' (log)' if self.log else ''}"


@dataclass(frozen=True)
class EarlyTermination:
    """``early_terminate`` (Hyperband): at each band a trial continues only if it is among the best ``1/eta`` so far.

    Attributes:
        eta: the ratio of two successive bands, and the fraction of trials that a band passes is ``1/eta``.
        min_iter: the first band.
        max_iter: the iterations of a whole distillation; the last band is ``max_iter / eta``.
        s: the number of bands below ``max_iter``.
    """

    eta: int = 3
    min_iter: int | None = None
    max_iter: int | None = None
    s: int | None = None

    @property
    def iterations(self) -> int:
        """The number of iterations that a distillation is divided into."""
        return self.max_iter or DEFAULT_ITERATIONS

    @property
    def bands(self) -> tuple[int, ...]:
        """The iterations after which a trial may be terminated, as W&B computes them; never after the last one."""
        if self.min_iter is None:
            below = [int(self.iterations / self.eta**power) for power in range(1, (self.s or 0) + 1)]
            return tuple(sorted({band for band in below if band >= 1}))
        most = math.ceil(math.log(self.iterations, self.eta)) + 1
        above = [self.min_iter * self.eta**power for power in range(most)]
        return tuple(band for band in above if band < self.iterations)

    def step(self, iteration: int, steps: int) -> int:
        """The step, of ``steps`` distillation steps, at which ``iteration`` ends."""
        return math.ceil(steps * iteration / self.iterations)

    def to_wandb(self) -> dict[str, Any]:
        """The ``early_terminate`` entry of a W&B sweep configuration."""
        return {"type": "hyperband"} | {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Search:
    """The settings that make a sweep a search.

    Attributes:
        method: ``random`` or ``bayes``.
        run_cap: the number of points to sample, not counting the baseline.
        ranges: the ranges, by recipe field.
        early: when trials are terminated early; None: never.
        objectives: names of final metrics, all maximized; several have a Pareto front and no single best trial.
        replicates: whether every point is run with each value of ``seed``; False if the seed is sampled like any other
            choice, as W&B does it, and ddsweep did it in searches that were launched with version 0.3.
    """

    method: str
    run_cap: int
    ranges: Mapping[str, Range]
    early: EarlyTermination | None = None
    objectives: tuple[str, ...] = field(default=(ACCURACY,))
    replicates: bool = False

    def definition(self) -> dict[str, Any]:
        """The search as JSON; ``from_definition`` is the inverse."""
        return {
            "method": self.method,
            "run_cap": self.run_cap,
            "objectives": list(self.objectives),
            "ranges": {name: range_.to_wandb() for name, range_ in self.ranges.items()},
            "early": self.early and {name: value for name, value in asdict(self.early).items() if value is not None},
            **({"replicates": True} if self.replicates else {}),
        }

    @classmethod
    def from_definition(cls, definition: Mapping[str, Any]) -> Search:
        """The search that ``definition()`` described. Raises KeyError or TypeError for anything else."""
        ranges = {name: Range(**range_) for name, range_ in definition["ranges"].items()}
        early = EarlyTermination(**definition["early"]) if definition["early"] else None
        objectives, replicates = tuple(definition["objectives"]), definition.get("replicates", False)
        return cls(definition["method"], definition["run_cap"], ranges, early, objectives, replicates)


def parse_ranges(document: SweepFile, path: Path) -> dict[str, Range]:
    """The ranges of a sweep file, by parameter.

    Raises:
        UserError: a grid has a range, or a range is invalid.
    """
    ranges = {}
    for name, parameter in document.parameters.items():
        keys = [key for key in RANGE if getattr(parameter, key) is not None]
        if (keys and keys != ["distribution"]) or (keys and parameter.distribution not in PLAIN):
            ranges[name] = _parse_range(parameter, document.method, f"{path}: parameters.{name}")
    return ranges


def _parse_range(parameter: Parameter, method: str, where: str) -> Range:
    distribution = parameter.distribution
    if method == "grid":
        raise UserError(f"{where}: a range needs method: random or bayes; a grid needs values")
    if parameter.value is not None or parameter.values is not None:
        raise UserError(f"{where}: needs either value, or values, or min and max")
    if distribution in EXPONENTS:
        raise UserError(
            f"{where}.distribution: {distribution} takes exponents; use log_uniform_values, which takes the values"
        )
    if distribution is not None and distribution not in DISTRIBUTIONS:
        raise UserError(
            f"{where}.distribution: unknown distribution {distribution!r}; {closest(distribution, DISTRIBUTIONS)}"
        )
    low, high = parameter.min, parameter.max
    if low is None or high is None:
        raise UserError(f"{where}: a range needs both min and max")
    if distribution is None:
        distribution = "int_uniform" if isinstance(low, int) and isinstance(high, int) else "uniform"
    range_ = Range(distribution, low, high, (parameter.q or 1) if distribution == "q_uniform" else parameter.q)
    _check_range(range_, where)
    return range_


def _check_range(range_: Range, where: str) -> None:
    low, high, q = range_.min, range_.max, range_.q
    if not low < high:
        raise UserError(f"{where}: min must be below max, but {low:g} is not below {high:g}")
    if range_.log and low <= 0:
        raise UserError(f"{where}.min: {low:g} has no logarithm; log_uniform_values needs min above 0")
    if range_.whole and not (isinstance(low, int) and isinstance(high, int)):
        raise UserError(f"{where}: int_uniform needs whole numbers, not {low} and {high}")
    if q is not None and range_.distribution != "q_uniform":
        raise UserError(f"{where}.q: {range_.distribution} takes no q, only q_uniform does")
    if q is not None and not 0 < q <= high - low:
        raise UserError(f"{where}.q: must be above 0 and at most max - min, not {q:g}")


def parse_search(document: SweepFile, ranges: Mapping[str, Range], path: Path) -> Search | None:
    """The search of a sweep file; None for a grid.

    Args:
        document: the file.
        ranges: the ranges that the profile and ``--set`` leave open.
        path: the file's path, for errors.

    Raises:
        UserError: ``run_cap`` is missing, or a key is only for a grid, or only for a search.
    """
    extra = document.extra
    if document.method == "grid":
        for key, value in (("run_cap", document.run_cap), ("early_terminate", document.early_terminate)):
            if value is not None:
                raise UserError(f"{path}: {key}: needs method: random or bayes; a grid runs every cell to its end")
        if extra.objectives:
            raise UserError(f"{path}: x-ddsweep.objectives: needs method: random or bayes")
        return None
    if document.run_cap is None:
        raise UserError(f"{path}: run_cap: method {document.method} needs the number of points to sample: run_cap: 20")
    if extra.exclude:
        raise UserError(f"{path}: x-ddsweep.exclude: a search has no cells to exclude; narrow min, max and values")
    if document.metric.get("name", ACCURACY) != ACCURACY or document.metric.get("goal", "maximize") != "maximize":
        raise UserError(f"{path}: metric: must be accuracy, maximized; x-ddsweep.objectives takes several")
    early = _parse_early(document.early_terminate, path)
    if early and len(extra.objectives) > 1:
        raise UserError(f"{path}: early_terminate: needs a single objective, but x-ddsweep.objectives has several")
    objectives = _parse_objectives(extra.objectives, path)
    return Search(document.method, document.run_cap, dict(ranges), early, objectives, replicates=True)


def _parse_early(entry: EarlyTerminate | None, path: Path) -> EarlyTermination | None:
    if entry is None:
        return None
    where = f"{path}: early_terminate"
    if (entry.min_iter is None) == (entry.max_iter is None):
        raise UserError(f"{where}: needs exactly one of min_iter and max_iter")
    if (entry.max_iter is None) != (entry.s is None):
        raise UserError(f"{where}: s is the number of bands below max_iter; set both or neither")
    early = EarlyTermination(entry.eta, entry.min_iter, entry.max_iter, entry.s)
    if not early.bands:
        raise UserError(f"{where}: has no band between the first and the last of {early.iterations} iterations")
    return early


def _parse_objectives(names: list[str], path: Path) -> tuple[str, ...]:
    where = f"{path}: x-ddsweep.objectives"
    if len(set(names)) < len(names):
        raise UserError(f"{where}: lists the same objective twice")
    for name in names:
        if name != ACCURACY and not name.startswith(f"{ACCURACY}/"):
            raise UserError(f"{where}: unknown objective {name!r}; write accuracy, or accuracy/NETWORK")
    return tuple(names) or (ACCURACY,)


def check_objectives(search: Search, recipes: Collection[Recipe]) -> None:
    """Check that every trial of a search reports every objective.

    Raises:
        UserError: a network is not evaluated in every cell.
    """
    for name in search.objectives:
        arch = name.partition("/")[2]
        for recipe in recipes:
            evaluated = recipe.eval_archs.split("+")
            if arch and arch not in evaluated:
                raise UserError(f"x-ddsweep.objectives: {name}: not evaluated; {closest(arch, evaluated)}")
