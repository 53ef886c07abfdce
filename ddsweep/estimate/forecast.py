"""From what was measured to the estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ddsweep import data, overview
from ddsweep.backends import sampler
from ddsweep.estimate import footprint, kinds
from ddsweep.estimate.findings import Distilled, Evaluated, Read, Trained
from ddsweep.estimate.outlook import Crew, Outlook, Saving, Share
from ddsweep.estimate.prices import Prices, trainings
from ddsweep.estimate.schedule import Job, wall_clock
from ddsweep.pretrained.spec import Spec
from ddsweep.recipe import Recipe
from ddsweep.results import result as results
from ddsweep.sweep import Sweep

CLOSING = 1.0  # seconds from the last answer to the table and its picture


@dataclass(frozen=True)
class Left:
    """What a sweep still needs, from files alone.

    Attributes:
        recipes: of the cells without a result, in the order of the queue, by key.
        overview: of the sweep.
        missing: the epochs that the pool lacks of each PTM that is trained here.
    """

    recipes: dict[str, Recipe]
    overview: overview.Overview
    missing: dict[Spec, set[int]]

    @classmethod
    def of(cls, sweep: Sweep, runs: Path) -> Left:
        """Look at the files. Raises UserError for a damaged result."""
        sweep = sampler.sketch(sweep)  # what a search will draw costs as much as what it may draw
        view = overview.of(sweep, runs)
        recipes = {cell.key: cell.recipe for cell in sweep.cells if view.states[cell.key] == "waiting"}
        asked = {one for recipe in recipes.values() for one in trainings(recipe)}
        # every epoch that any cell of the sweep wants is kept in the same training, see spec.needs
        missing = {one: set(wanted) - set(there) for one, (wanted, there) in view.ptms.items() if one in asked}
        return cls(recipes, view, missing)

    @property
    def kinds(self) -> list[kinds.Kind]:
        """What there is to measure."""
        return kinds.of_all(self.recipes.values())


def outlook(left: Left, runs: Path, crew: Crew, prices: Prices, start: float) -> Outlook:
    """The estimate.

    Args:
        left: what is to be done.
        runs: the folder of all runs.
        crew: who will do it.
        prices: what it costs.
        start: seconds that a process takes to start.
    """
    training = {one: prices.training(one, *left.overview.ptms[one]) for one, gone in left.missing.items() if gone}
    jobs, training = _begun(left, {key: prices.job(recipe) for key, recipe in left.recipes.items()}, training, prices)
    busy = sum(job.before + job.after for job in jobs.values()) + sum(training.values())
    reading = sum(one.seconds for one in prices.found.values() if isinstance(one, Read))  # the launch prepares them
    wall = 2 * start + reading + wall_clock(list(jobs.values()), training, crew.agents) + CLOSING if jobs else 0.0
    return Outlook(
        cells={key: job.before + job.after for key, job in jobs.items()},
        ended=len(left.overview.states) - len(jobs),
        shared=sum(bool(left.overview.shared[key]) for key in jobs),
        trainings={one.title: seconds for one, seconds in training.items()},
        shares=_shares(left, prices, training),
        device_seconds=busy / crew.per_device,
        wall=wall,
        disk=_disk(left, runs, prices),
        saving=_saving(left, runs, prices, training),
        lacking=_lacking(left),
    )


def _begun(
    left: Left, jobs: dict[str, Job], training: dict[Spec, float], prices: Prices
) -> tuple[dict[str, Job], dict[Spec, float]]:
    """The same with what the first steps of every kind take, in the first cell or training that is of this kind."""
    known: set[kinds.Kind] = set()

    def cold(these: Sequence[kinds.Kind]) -> float:
        fresh = set(these) - known
        known.update(fresh)
        return sum(map(prices.cold, fresh))

    begun = {}
    for key, job in jobs.items():
        work = [kind for kind in kinds.of(left.recipes[key]) if not isinstance(kind, kinds.Training)]
        begun[key] = replace(job, after=job.after + cold(work))
    return begun, {one: seconds + cold([kinds.Training.of(one)]) for one, seconds in training.items()}


def _shares(left: Left, prices: Prices, training: Mapping[Spec, float]) -> list[Share]:
    """What each kind of work takes in all cells together."""
    work = {recipe: set(kinds.of(recipe)) for recipe in left.recipes.values()}
    users = {kind: [recipe for recipe, own in work.items() if kind in own] for kind in left.kinds}
    return [_share(kind, prices, recipes, training) for kind, recipes in users.items()]


def _share(kind: kinds.Kind, prices: Prices, recipes: Sequence[Recipe], training: Mapping[Spec, float]) -> Share:
    match prices.found[kind], kind:
        case Read(seconds=seconds), _:
            return Share(kind.title, seconds, "reading", len(recipes) * seconds)
        case Trained(step=step), _:
            total = sum(seconds for one, seconds in training.items() if kinds.Training.of(one) == kind)
            return Share(kind.title, step, "batch", total)
        case Evaluated(step=step), kinds.Evaluating(recipe):
            total = sum(prices.evaluating(one, recipe.arch) for one in recipes)
            return Share(kind.title, step, "pass", total)
        case Distilled(first=first, step=step), kinds.Distilling(recipe):
            total = sum(prices.distilling(one) / max(1, one.n_archs) for one in recipes)
            iteration = first + (recipe.outer_loops - 1) * step
            return Share(kind.title, iteration, "step" if recipe.outer_loops == 1 else "iteration", total)
        case finding, _:
            raise TypeError(f"{finding} is not of {kind}")


def _disk(left: Left, runs: Path, prices: Prices) -> float:
    """Bytes of all that is not there yet."""
    total = sum(footprint.cell(recipe, prices) for recipe in left.recipes.values())
    total += sum(footprint.ptm(one, epochs, prices) for one, epochs in left.missing.items())
    total += sum(prices.read(name, size).size for name, size in _undecoded(left))
    return total if (runs / "ddsweep.db").is_file() or not left.recipes else total + footprint.NEW_BOOKS


def _undecoded(left: Left) -> list[tuple[str, int]]:
    wanted = [(kind.name, kind.size) for kind in left.kinds if isinstance(kind, kinds.Loading)]
    return [(name, size) for name, size in wanted if not kinds.is_at_hand(name, size)]


def _saving(left: Left, runs: Path, prices: Prices, training: dict[Spec, float]) -> Saving:
    ended = [results.read(runs / key) for key in left.overview.states if key not in left.recipes]
    done = sum(sum(one.seconds.values()) for one in ended if one)
    alone = sum(
        prices.training(one, {recipe.ptm_epoch}) for recipe in left.recipes.values() for one in trainings(recipe)
    )
    looks = [prices.looking(recipe) for recipe in left.recipes.values()]
    features = sum(forgetful - ours for ours, forgetful in looks)
    return Saving(done, max(0.0, alone - sum(training.values())), features)


def _lacking(left: Left) -> list[str]:
    lines = [f"data {name}: not decoded yet ({data.info(name).origin})" for name, _ in _undecoded(left)]
    for one in left.overview.ptms:
        if one.foundation and not one.saved() and left.recipes:
            lines.append(f"PTM {one.title}: not in the pool; ddsweep pretrain {one.source}")
    return lines
