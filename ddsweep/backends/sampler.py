"""The next point of a search, and pruning: Optuna's samplers and pruner as pure functions of the attempts.

The sampler gets an in-memory study of the attempts so far, and a seed derived from the sweep's seed and the number of
the point. So every storage draws the same points, drawing is part of the transaction that claims the point, and a
random search always has the same points.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from ddsweep.backends import Definition, Point, Scalar
from ddsweep.backends.rules import Attempt, Phase, grouped
from ddsweep.errors import UserError
from ddsweep.sweep import EarlyTermination, Range, Search, Sweep

TRIES = 20  # attempts of a sampler that repeats points, before the remaining points are enumerated
RANDOM = (2, 10)  # random points before TPE starts: a third of the search, within these bounds
RUNG = "completed_rung_{}"  # system attribute in which Optuna's pruner stores a trial's value at a band
DIGITS = 4  # of a drawn number, so that a person can type it: nobody can tell α = 127.4 from 127.39218
INVALID = "invalid-"  # start of the key of a point whose choices contradict each other
ENUMERATED = 10_000  # the largest space without continuous axes that is enumerated
STATES = {
    Phase.COMPLETE: TrialState.COMPLETE, Phase.PRUNED: TrialState.PRUNED, Phase.RUNNING: TrialState.RUNNING,
    Phase.WAITING: TrialState.RUNNING,
}  # fmt: skip


def continued(definition: Definition, before: Definition | None) -> Definition:
    """A search that is registered again, with the points drawn before that are still in its space."""
    if before is None or before.cap is None or definition.cap is None:
        return definition
    space, known = Space.of(definition.definition), {point.id for point in definition.points}
    drawn = (space.projected(point) for point in before.points if point.id not in known)
    return replace(definition, points=[*definition.points, *(point for point in drawn if space.holds(point))])


def is_invalid(point: Point) -> bool:
    """Whether a search drew a point whose choices contradict each other."""
    return point.key.startswith(INVALID)


def draw(definition: Definition, attempts: Sequence[Attempt]) -> Point | None:
    """The next point of a search; None if there is no other.

    Contradictory choices are a point too: the agent that claims it records why, and it counts.
    """
    space, known = Space.of(definition.definition), {point.key for point in definition.points}
    number = len(definition.points) - len(space.sweep.kept)
    for attempt in range(TRIES):
        point = space.point(_suggest(space, attempts, number, attempt))
        if point.key not in known:
            return point
    left = list({point.key: point for point in space.all() if point.key not in known}.values())
    return left[space.seed(number) % len(left)] if left else None


def sketch(sweep: Sweep) -> Sweep:
    """A search with example points, those of a random search, for use before any point is drawn."""
    if sweep.search is None or sweep.sampled:
        return sweep
    definition = Definition.of(replace(sweep, search=replace(sweep.search, method="random")))
    while definition.to_draw and (point := draw(definition, ())) is not None:
        definition = replace(definition, points=[*definition.points, point])
    return sweep.with_points(point.params for point in definition.points)


def _suggest(space: Space, attempts: Iterable[Attempt], number: int, attempt: int) -> dict[str, Scalar]:
    """What the sampler suggests as point ``number``; ``attempt`` counts repeated suggestions."""
    study, several = _study(len(space.search.objectives)), len(space.search.objectives) > 1
    study.sampler = _sampler(space, number, attempt)
    for tried in grouped(attempts).values():
        trial = space.trial(tried[-1])
        if trial is not None and not (several and trial.state is TrialState.PRUNED):
            study.add_trial(trial)
    return space.readable(study.ask(dict(space.axes)).params)


def _study(objectives: int) -> optuna.Study:
    """An empty study in memory."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # otherwise Optuna logs every study
    return optuna.create_study(directions=["maximize"] * objectives)


def _sampler(space: Space, number: int, attempt: int) -> BaseSampler:
    seed, (least, most) = space.seed(number, attempt), RANDOM
    if space.search.method == "random" or attempt > TRIES // 2:
        return RandomSampler(seed)
    # Optuna's default of ten random points would be all of a small search
    first = max(least, min(most, space.search.run_cap // 3))
    return TPESampler(seed=seed, n_startup_trials=first, constant_liar=True)


def passes_band(early: EarlyTermination, attempts: Iterable[Attempt], identifier: int, step: int) -> bool:
    """Whether an attempt that has reported its accuracy at ``step`` should continue.

    Successive halving as W&B's ``hyperband`` does it: all trials are in one bracket, and a trial passes a band if it is
    among the best ``1/eta`` of those that have reached the band so far. (Optuna's ``HyperbandPruner`` distributes the
    trials over several brackets, some of which never prune; with ten trials, each bracket has three.)
    """
    study = _study(1)
    others = [group[-1] for group in grouped(one for one in attempts if one.identifier != identifier).values()]
    (own,) = (one for one in attempts if one.identifier == identifier)
    for other in others:
        if other.point.identity != own.point.identity:
            study.add_trial(create_trial(state=TrialState.RUNNING, system_attrs=_rungs(other)))
    band = sorted(own.intermediate_values).index(step)
    # the pruner counts bands, so that they need not be a factor of eta apart: those below an odd max_iter are not
    value = {early.eta**band: own.intermediate_values[step]}
    earlier = _rungs(own, before=band)
    study.add_trial(create_trial(state=TrialState.RUNNING, intermediate_values=value, system_attrs=earlier))
    pruner = SuccessiveHalvingPruner(min_resource=1, reduction_factor=early.eta, min_early_stopping_rate=0)
    return not pruner.prune(study, study.get_trials()[-1])


def _rungs(attempt: Attempt, before: int | None = None) -> dict[str, float]:
    """An attempt's accuracies at its bands (those before a band's index only), as Optuna's pruner stores them."""
    values = sorted(attempt.intermediate_values.items())[:before]
    return {RUNG.format(index): value for index, (_, value) in enumerate(values)}


@dataclass(frozen=True)
class Space:
    """The space in which a search draws points.

    Attributes:
        sweep: the sweep.
        search: its search.
        axes: the distribution of every swept parameter.
    """

    sweep: Sweep
    search: Search
    axes: Mapping[str, BaseDistribution]

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> Space:
        """The space of a registered sweep, which must be a search."""
        sweep = Sweep.from_definition(definition)
        assert sweep.search is not None
        ranges = sweep.search.ranges
        axes = {
            name: _distribution(ranges[name]) if name in ranges else CategoricalDistribution(sweep.parameters[name])
            for name in sweep.varied
        }
        return cls(sweep, sweep.search, axes)

    @property
    def ranges(self) -> dict[str, BaseDistribution]:
        """The distributions of the parameters that have a range."""
        return {name: self.axes[name] for name in self.search.ranges}

    def holds(self, point: Point) -> bool:
        """Whether a point could be drawn and would be the same experiment."""
        return self._within(point) and self.point(point.params).identity == point.identity

    def projected(self, point: Point) -> Point:
        """A point without the fields that it has only because cells of earlier launches differ in them."""
        if not point.params.keys() > self.axes.keys():
            return point
        return replace(point, params={name: point.params[name] for name in self.axes})

    def _within(self, point: Point) -> bool:
        return point.params.keys() == self.axes.keys() and all(
            contains(self.axes[name], value) for name, value in point.params.items()
        )

    def point(self, params: Mapping[str, Scalar]) -> Point:
        """The point with these parameters. Contradictory choices get a key of their own."""
        plain = dict(params)
        try:
            recipe = self.sweep.recipe(plain)
        except UserError:
            digest = hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=8).hexdigest()
            title = " · ".join(f"{name} {value}" for name, value in plain.items())
            return Point(f"{INVALID}{digest}", plain, f"{INVALID}{digest}", title)
        return Point(recipe.key(), plain, recipe.key(), self.sweep.cell_title(recipe))

    def readable(self, drawn: Mapping[str, Any]) -> dict[str, Scalar]:
        """The values that a sampler drew, rounded to few digits within their range."""
        return {name: _readable(self.search.ranges.get(name), value) for name, value in drawn.items()}

    def seed(self, *names: int) -> int:
        """A seed for a sampler, from the first seed of the sweep's recipes."""
        text = ":".join(map(str, (self.sweep.parameters.get("seed", (0,))[0], "search", *names)))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")

    def all(self) -> Iterator[Point]:
        """Every point of a finite space; none if it is continuous or has more than ``ENUMERATED`` points."""
        values = [_values(kind) for kind in self.axes.values()]
        if all(values) and math.prod(map(len, values)) <= ENUMERATED:
            for some in itertools.product(*values):
                yield self.point(dict(zip(self.axes, some, strict=True)))

    def trial(self, attempt: Attempt) -> FrozenTrial | None:
        """An attempt as an Optuna trial; None if it failed or is outside the space."""
        point = self.projected(attempt.point)
        if attempt.phase not in STATES or not self.holds(point):
            return None
        done = attempt.phase is Phase.COMPLETE
        return create_trial(
            state=STATES[attempt.phase],
            values=self._values(attempt) if done else None,
            params=point.params,
            distributions=dict(self.axes),
            intermediate_values=dict(attempt.intermediate_values),
        )

    def _values(self, attempt: Attempt) -> list[float]:
        if len(self.search.objectives) == 1:
            return [float(attempt.value or 0.0)]
        return [float(attempt.attributes[name]) for name in self.search.objectives]


def contains(axis: BaseDistribution, value: Scalar) -> bool:
    """Whether an axis contains a value; a logarithmic one does not contain the baseline's α = 0."""
    try:
        return bool(axis._contains(axis.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False


def _distribution(one: Range) -> BaseDistribution:
    if one.whole:
        return IntDistribution(int(one.min), int(one.max))
    low, high = float(one.min), float(one.max)
    if one.q:
        # otherwise Optuna rounds the bound itself, with a warning
        return FloatDistribution(low, low + math.floor((high - low) / one.q + 1e-9) * one.q, step=float(one.q))
    return FloatDistribution(low, high, log=one.log)


def _readable(one: Range | None, value: Any) -> Scalar:
    if one is None or not isinstance(value, float):
        return value
    width = abs(value) if one.log else float(one.max - one.min)
    short = round(value, DIGITS - 1 - math.floor(math.log10(width)))
    return min(max(short, float(one.min)), float(one.max))


def _values(axis: BaseDistribution) -> Sequence[Scalar]:
    """The values of an axis; empty if it is continuous."""
    if isinstance(axis, CategoricalDistribution):
        return axis.choices
    if isinstance(axis, IntDistribution):
        return range(axis.low, axis.high + 1, axis.step)
    if isinstance(axis, FloatDistribution) and axis.step:
        return [axis.low + i * axis.step for i in range(round((axis.high - axis.low) / axis.step) + 1)]
    return ()
