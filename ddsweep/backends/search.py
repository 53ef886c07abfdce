"""The next point of a search, and whether a trial goes on: Optuna's samplers and pruner as pure functions of the books.

A sampler is asked about a study in memory that is made of the attempts so far, with a seed that follows from the
sweep's seed and the number of the point. So every storage draws alike, drawing is part of the transaction that claims
the point, and a random search has the same points wherever and however often it is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import optuna
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from ddsweep.backends import Definition, Point, Scalar
from ddsweep.backends.ledger import Attempt, grouped
from ddsweep.backends.space import Space
from ddsweep.sweep import EarlyTermination, Sweep

TRIES = 20  # of a sampler that repeats itself, before what is left is looked through
RANDOM = (2, 10)  # points before TPE looks at the others: a third of the search, within these bounds
RUNG = "completed_rung_{}"  # how Optuna's pruner notes what a trial had at its bands


def continued(definition: Definition, before: Definition | None) -> Definition:
    """A search that is registered again keeps the points that were drawn, as far as they are still in it."""
    if before is None or definition.cap is None:
        return definition
    space, known = Space.of(definition.definition), {point.id for point in definition.points}
    kept = [point for point in before.points if point.id not in known and space.holds(point)]
    return replace(definition, points=[*definition.points, *kept])


def draw(definition: Definition, attempts: Sequence[Attempt]) -> Point | None:
    """The next point of a search; None when there is no other one.

    Choices that make no recipe are a point too: whoever takes it finds out why, and it counts.
    """
    space, known = Space.of(definition.definition), {point.key for point in definition.points}
    number = len(definition.points)
    for attempt in range(TRIES):
        point = space.point(_suggest(space, attempts, number, attempt))
        if point.key not in known:
            return point
    left = list({point.key: point for point in space.all() if point.key not in known}.values())
    return left[space.seed(number) % len(left)] if left else None


def sketch(sweep: Sweep) -> Sweep:
    """A search with points that it may draw, for whoever asks before there is one: those of a random search."""
    if sweep.search is None or sweep.sampled:
        return sweep
    definition = Definition.of(replace(sweep, search=replace(sweep.search, method="random")))
    while definition.to_draw and (point := draw(definition, ())) is not None:
        definition = replace(definition, points=[*definition.points, point])
    return sweep.with_points(point.params for point in definition.points)


def _suggest(space: Space, attempts: Iterable[Attempt], number: int, attempt: int) -> dict[str, Scalar]:
    """What the sampler says to point ``number``; further attempts when it has said that before."""
    study, several = _study(len(space.search.objectives)), len(space.search.objectives) > 1
    study.sampler = _sampler(space, number, attempt)
    for tried in grouped(attempts).values():
        trial = space.trial(tried[-1])
        if trial is not None and not (several and trial.state is TrialState.PRUNED):
            study.add_trial(trial)
    return space.readable(study.ask(dict(space.axes)).params)


def _study(objectives: int) -> optuna.Study:
    """An empty study in memory."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # or it announces every one
    return optuna.create_study(directions=["maximize"] * objectives)


def _sampler(space: Space, number: int, attempt: int) -> BaseSampler:
    seed, (least, most) = space.seed(number, attempt), RANDOM
    if space.search.method == "random" or attempt > TRIES // 2:
        return RandomSampler(seed)
    # Optuna's default of ten random points would be all of a small search
    first = max(least, min(most, space.search.run_cap // 3))
    return TPESampler(seed=seed, n_startup_trials=first, constant_liar=True)


def goes_on(early: EarlyTermination, attempts: Iterable[Attempt], mine: int, step: int) -> bool:
    """Whether the trial of attempt ``mine``, which has told its accuracy at ``step``, is worth going on.

    Successive halving as W&B's ``hyperband`` does it: every trial is in the one bracket, and passes a band if it is
    among the best ``1/eta`` of those that came to it so far. (Optuna's ``HyperbandPruner`` deals the trials out to
    several brackets, some of which never prune; with ten trials there are three in each.)
    """
    study = _study(1)
    others = [tried[-1] for tried in grouped(one for one in attempts if one.identifier != mine).values()]
    (own,) = (one for one in attempts if one.identifier == mine)
    for other in others:
        if other.point.identity != own.point.identity:
            study.add_trial(_halved(early, other))
    rung = sorted(own.looks).index(step)
    # the pruner counts bands, so that theirs need not lie a whole eta apart, as those below an odd max_iter do not
    earlier = {RUNG.format(index): value for index, (_, value) in enumerate(sorted(own.looks.items())[:rung])}
    study.add_trial(
        optuna.trial.create_trial(
            state=TrialState.RUNNING, intermediate_values={early.eta**rung: own.looks[step]}, system_attrs=earlier
        )
    )
    pruner = SuccessiveHalvingPruner(min_resource=1, reduction_factor=early.eta, min_early_stopping_rate=0)
    return not pruner.prune(study, study.get_trials()[-1])


def _halved(early: EarlyTermination, other: Attempt) -> optuna.trial.FrozenTrial:
    rungs = {RUNG.format(index): value for index, (_, value) in enumerate(sorted(other.looks.items()))}
    return optuna.trial.create_trial(state=TrialState.RUNNING, system_attrs=rungs)
