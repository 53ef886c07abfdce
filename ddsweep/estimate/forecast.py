"""The estimate of a sweep, computed from the measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ddsweep import data, overview
from ddsweep.backends import sampler
from ddsweep.estimate import costs, reads, work
from ddsweep.estimate.costs import Prices, trainings
from ddsweep.estimate.schedule import Job, wall_clock
from ddsweep.estimate.work import Distilled, Evaluated, Finding, Read, Trained
from ddsweep.pretrained import spec
from ddsweep.pretrained.spec import Spec
from ddsweep.recipe import Recipe
from ddsweep.recipe.real_branch import common
from ddsweep.results import stored
from ddsweep.sweep import Sweep

ENDED = ("done", "failed")  # states of an overview; damaged results, and those from other images, are computed again
CLOSING = 1.0  # seconds from the last result to the table and its plot


@dataclass(frozen=True)
class Left:
    """The remaining work of a sweep, determined from files alone.

    Attributes:
        recipes: recipes of the cells without a result, by key, in the order of the queue.
        overview: the overview of the sweep.
        missing: epochs that are missing in the pool, for each PTM that ddsweep trains.
    """

    recipes: dict[str, Recipe]
    overview: overview.Overview
    missing: dict[Spec, set[int]]

    @classmethod
    def of(cls, sweep: Sweep, runs: Path) -> Left:
        """Return the remaining work of a sweep."""
        sweep = sampler.sketch(sweep)  # points that a search has yet to draw are priced as random example points
        view = overview.of(sweep, runs)
        recipes = {cell.key: cell.recipe for cell in sweep.cells if view.states[cell.key] not in ENDED}
        asked = {one for recipe in recipes.values() for one in trainings(recipe)}
        # one training keeps the epochs that all cells of the sweep need, see spec.needs
        missing = {one: set(wanted) - set(there) for one, (wanted, there) in view.ptms.items() if one in asked}
        return cls(recipes, view, missing)

    @property
    def kinds(self) -> list[work.Kind]:
        """The kinds of work to measure."""
        return work.of_all(self.recipes.values())


def outlook(left: Left, runs: Path, crew: Crew, prices: Prices, start: float) -> Outlook:
    """Return the estimate.

    Args:
        left: the remaining work.
        runs: the folder of all runs.
        crew: the agents of the launch.
        prices: the cost of each part.
        start: seconds in which a process starts.
    """
    prices = replace(prices, reads=reads.of(left.recipes.values()))
    jobs = {key: prices.job(recipe) for key, recipe in left.recipes.items()}
    jobs, training = _begun(left, jobs, _training(left, prices), prices)
    low, high = (_wall(left, crew, prices.bound(which), start) for which in (0, 1))
    busy = sum(job.before + job.after for job in jobs.values()) + sum(training.values())
    return Outlook(
        cells={key: job.before + job.after for key, job in jobs.items()},
        ended=len(left.overview.states) - len(jobs),
        shared=sum(bool(left.overview.shared[key]) for key in jobs),
        trainings={one.title: seconds for one, seconds in training.items()},
        shares=_shares(left, prices, training),
        device_seconds=busy / crew.per_device,
        wall=_wall(left, crew, prices, start),
        disk=_disk(left, runs, prices),
        saving=_saving(left, runs, prices, training),
        lacking=_lacking(left),
        between=(low, high),
        common=common(left.recipes.values()).line() if prices.reads else "",
    )


def _training(left: Left, prices: Prices) -> dict[Spec, float]:
    return {one: prices.training(one, *left.overview.ptms[one]) for one, gone in left.missing.items() if gone}


def _wall(left: Left, crew: Crew, prices: Prices, start: float) -> float:
    """Return the seconds from the launch to its table."""
    if not left.recipes:
        return 0.0
    jobs = {key: prices.job(recipe) for key, recipe in left.recipes.items()}
    jobs, training = _begun(left, jobs, _training(left, prices), prices)
    reading = sum(one.seconds for one in prices.found.values() if isinstance(one, Read))  # the launch prepares the data
    return 2 * start + reading + wall_clock(list(jobs.values()), training, crew.agents) + CLOSING


def _begun(
    left: Left, jobs: dict[str, Job], training: dict[Spec, float], prices: Prices
) -> tuple[dict[str, Job], dict[Spec, float]]:
    """Add the extra seconds of the very first steps of each kind to the first cell or training of that kind."""
    known: set[work.Kind] = set()

    def cold(these: Sequence[work.Kind]) -> float:
        fresh = set(these) - known
        known.update(fresh)
        return sum(map(prices.cold, fresh))

    begun = {}
    for key, job in jobs.items():
        pieces = [kind for kind in work.of(left.recipes[key]) if not isinstance(kind, work.Training)]
        begun[key] = replace(job, after=job.after + cold(pieces))
    return begun, {one: seconds + cold([work.Training.of(one)]) for one, seconds in training.items()}


def _shares(left: Left, prices: Prices, training: Mapping[Spec, float]) -> list[Share]:
    """Return the cost of each kind of work over all cells."""
    by_recipe = {recipe: set(work.of(recipe)) for recipe in left.recipes.values()}
    users = {kind: [recipe for recipe, own in by_recipe.items() if kind in own] for kind in left.kinds}
    return [_share(kind, prices, recipes, training) for kind, recipes in users.items()]


def _share(kind: work.Kind, prices: Prices, recipes: Sequence[Recipe], training: Mapping[Spec, float]) -> Share:
    step, unit = pace(kind, prices.found[kind])
    match kind:
        case work.Loading():
            total = len(recipes) * step
        case work.Training():
            total = sum(seconds for one, seconds in training.items() if work.Training.of(one) == kind)
        case work.Evaluating(recipe):
            total = sum(prices.evaluating(one, recipe.arch) for one in recipes)
        case work.Distilling():
            total = sum(prices.distilling(one) / max(1, one.n_archs) for one in recipes)
    return Share(kind.title, step, unit, total, kind not in prices.guessed)


def pace(kind: work.Kind, finding: Finding) -> tuple[float, str]:
    """Return the seconds of a step of this kind, and the name of a step."""
    match finding, kind:
        case Read(seconds=seconds), _:
            return seconds, "reading"
        case Trained(step=step), _:
            return step, "batch"
        case Evaluated(step=step), _:
            return step, "pass"
        case Distilled() as found, work.Distilling(recipe):
            return found.iteration(recipe), "step" if recipe.outer_loops == 1 else "iteration"
    raise TypeError(f"{finding} is not of {kind}")


def _disk(left: Left, runs: Path, prices: Prices) -> float:
    """Return the bytes of all files that do not exist yet."""
    total = sum(costs.cell(recipe, prices) for recipe in left.recipes.values())
    total += sum(costs.ptm(one, epochs, prices) for one, epochs in left.missing.items())
    total += sum(prices.read(name, size).size for name, size in _undecoded(left))
    return total if (runs / "ddsweep.db").is_file() or not left.recipes else total + costs.NEW_BOOKS


def _undecoded(left: Left) -> list[tuple[str, int]]:
    wanted = [(kind.name, kind.size) for kind in left.kinds if isinstance(kind, work.Loading)]
    return [(name, size) for name, size in wanted if not work.is_at_hand(name, size)]


def _saving(left: Left, runs: Path, prices: Prices, training: dict[Spec, float]) -> Saving:
    ended = stored.collect(left.overview.sweep, runs).results.values()
    done = sum(sum(one.seconds.values()) for one in ended)
    alone = sum(
        prices.training(one, epochs)
        for recipe in left.recipes.values()
        for one, epochs in spec.needs([recipe]).items()
        if not one.foundation
    )
    looks = [prices.looking(recipe) for recipe in left.recipes.values()]
    features = sum(forgetful - ours for ours, forgetful in looks)
    spared = sum(map(prices.spared, left.recipes.values()))
    return Saving(done, max(0.0, alone - sum(training.values())), features, spared)


def _lacking(left: Left) -> list[str]:
    lines = [f"data {name}: not decoded yet ({data.info(name).origin})" for name, _ in _undecoded(left)]
    for one in left.overview.ptms:
        if one.foundation and not one.foundation.maker and not one.saved() and left.recipes:
            lines.append(f"PTM {one.title}: not in the pool; ddsweep pretrain {one.source}")
    return lines


@dataclass(frozen=True)
class Crew:
    """The agents of a launch.

    Attributes:
        devices: number of GPUs; 1 for the CPU.
        per_device: agents on each device.
    """

    devices: int
    per_device: int

    @property
    def agents(self) -> int:
        """Total number of agents."""
        return self.devices * self.per_device


@dataclass(frozen=True)
class Saving:
    """Agent seconds saved by reusing results, PTMs and features.

    Attributes:
        done: seconds of cells that were computed before, by this sweep or by another that shares them.
        ptms: seconds of PTMs that are in the pool, or will be trained for one cell and used by all.
        features: seconds of features of real images, which CCLoM's PTMs compute once per image and keep.
        common: seconds of what cells read because another one computes it (``reads``).
    """

    done: float
    ptms: float
    features: float
    common: float = 0.0

    @property
    def total(self) -> float:
        """All saved seconds."""
        return self.done + self.ptms + self.features + self.common


@dataclass(frozen=True)
class Share:
    """The cost of one kind of work.

    Attributes:
        title: displayed name.
        step: seconds per step: an iteration of a distillation, an epoch of an evaluation, a batch of a training; for
            data, the seconds to read the dataset.
        unit: name of a step.
        seconds: seconds over all cells.
        measured: whether it was measured; False: there was no time, and it is computed from its operations.
    """

    title: str
    step: float
    unit: str
    seconds: float
    measured: bool = True


@dataclass(frozen=True)
class Outlook:
    """The remaining work of a sweep and its estimated cost.

    Attributes:
        cells: seconds of each remaining cell, without the training of PTMs, by key.
        ended: number of cells that already have a result.
        shared: number of remaining cells that also belong to other sweeps of this profile.
        trainings: seconds of each PTM to be trained, by title.
        shares: the cost of each kind of work.
        device_seconds: seconds of a GPU, or of the whole CPU.
        wall: seconds from the launch to its table.
        disk: bytes in the runs folder and in the cache.
        saving: agent seconds that are saved by reuse.
        lacking: data that is not decoded and PTMs that are not in the pool; obtaining them takes an unknown time.
        between: the shortest and the longest wall-clock time that the measurements allow.
        common: how many remaining cells read what another one computes, in words; empty if none do.
    """

    cells: dict[str, float]
    ended: int
    shared: int
    trainings: dict[str, float]
    shares: list[Share]
    device_seconds: float
    wall: float
    disk: float
    saving: Saving
    lacking: list[str]
    between: tuple[float, float] = (0.0, 0.0)
    common: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON values, for scripts."""
        return asdict(self)
