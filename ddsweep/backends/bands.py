"""Early termination: whether a trial that has reached a band should continue, as a pure function of the attempts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping

from optuna.pruners import SuccessiveHalvingPruner
from optuna.trial import TrialState, create_trial

from ddsweep.backends import Definition
from ddsweep.backends.rules import Attempt, Phase, grouped
from ddsweep.backends.sampler import intermediate_means, new_study
from ddsweep.backends.space import Space, is_search
from ddsweep.sweep import EarlyTermination

RUNG = "completed_rung_{}"  # system attribute in which Optuna's pruner stores a trial's value at a band


def passes(definition: Definition, attempts: Iterable[Attempt], identifier: int, step: int) -> bool:
    """Whether an attempt that has reported its accuracy at ``step`` should continue.

    True if the sweep terminates nothing early: another launch may have made it a grid. Cells of earlier launches that
    are not in the space of the search are no rivals.
    """
    if not is_search(definition):
        return True
    space = Space.of(definition.definition)
    places = space.places(definition.points)
    rivals = [one for one in attempts if one.identifier == identifier or one.point.key in places]
    early = space.search.early
    return early is None or passes_band(early, rivals, identifier, step, places)


def passes_band(
    early: EarlyTermination,
    attempts: Iterable[Attempt],
    identifier: int,
    step: int,
    places: Mapping[str, Hashable] | None = None,
) -> bool:
    """Whether an attempt that has reported its accuracy at ``step`` should continue.

    Successive halving as W&B's ``hyperband`` does it: all points are in one bracket, and a point passes a band if it is
    among the best ``1/eta`` of those that have reached the band so far. (Optuna's ``HyperbandPruner`` distributes the
    trials over several brackets, some of which never prune; with ten trials, each bracket has three.) A point with
    several seeds counts with the mean of those that have reached the band, and none of its seeds passes after one of
    them was pruned.

    Args:
        early: when trials are terminated early.
        attempts: all attempts of the search.
        identifier: the one that asks.
        step: the distillation step that it has reached.
        places: by key of a cell, its point; default: every cell is a point of its own.
    """
    points: dict[Hashable, list[Attempt]] = defaultdict(list)
    known = list(attempts)
    (own,) = (one for one in known if one.identifier == identifier)
    others = (one for one in known if one.point.identity != own.point.identity)
    for last in (own, *(tried[-1] for tried in grouped(others).values())):
        points[(places or {}).get(last.point.key, last.point.identity)].append(last)
    siblings = next(cells for cells in points.values() if own in cells)
    if any(one.phase is Phase.PRUNED for one in siblings):
        return False
    study = new_study(1)
    for cells in points.values():
        if cells is not siblings:
            study.add_trial(create_trial(state=TrialState.RUNNING, system_attrs=_rungs(intermediate_means(cells))))
    values, band = intermediate_means(siblings), sorted(own.intermediate_values).index(step)
    # the pruner counts bands, so that they need not be a factor of eta apart: those below an odd max_iter are not
    value = {early.eta**band: values[step]}
    earlier = _rungs({earlier: values[earlier] for earlier in sorted(own.intermediate_values)[:band]})
    study.add_trial(create_trial(state=TrialState.RUNNING, intermediate_values=value, system_attrs=earlier))
    pruner = SuccessiveHalvingPruner(min_resource=1, reduction_factor=early.eta, min_early_stopping_rate=0)
    return not pruner.prune(study, study.get_trials()[-1])


def _rungs(values: Mapping[int, float]) -> dict[str, float]:
    """The accuracies of a point at its bands, as Optuna's pruner stores them."""
    return {RUNG.format(index): value for index, value in enumerate(values.values())}
