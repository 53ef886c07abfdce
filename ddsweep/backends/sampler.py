"""The next point of a search: Optuna's samplers as pure functions of the attempts (``bands`` has pruning).

The sampler gets an in-memory study of the points so far, and a seed derived from the sweep's seed and the number of the
point. So every storage draws the same points, drawing is part of the transaction that claims the point, and a random
search always has the same points.

If the seeds of a search are replicates, a point has a cell per seed. All of them are queued together; the sampler is
told their mean.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from ddsweep.backends import Definition, Point
from ddsweep.backends.rules import Attempt, Phase, grouped
from ddsweep.backends.space import Place, Space
from ddsweep.errors import UserError
from ddsweep.sweep import Sweep

TRIES = 20  # attempts of a sampler that repeats points, before the remaining points are enumerated
RANDOM = (2, 10)  # random points before TPE starts: a third of the search, within these bounds
OPEN = (Phase.RUNNING, Phase.WAITING)


def continued(definition: Definition, before: Definition | None) -> Definition:
    """A search that is registered again, with the points drawn before that are still in its space.

    If it has more seeds than before, they get the new ones too.
    """
    if before is None or before.cap is None or definition.cap is None:
        return definition
    try:
        earlier = Sweep.from_definition(before.definition).knowing(before.points)
    except UserError:
        return definition
    space, known = Space.of(definition.definition), {point.id for point in definition.points}
    choices = ((earlier.choices_of(point.params, point.key), point) for point in before.points if point.id not in known)
    places = [space.place(point) if one is None else space.place_of(one, point.key) for one, point in choices]
    cells = (cell for place in dict.fromkeys(places) if place is not None for cell in space.cells(place))
    return replace(definition, points=[*definition.points, *(cell for cell in cells if cell.id not in known)])


def extended(definition: Definition, attempts: Sequence[Attempt]) -> tuple[Definition, list[Point]]:
    """A search with its next point, and the cells of this point to queue: none if there is no other point.

    Contradictory choices are a point too: the agent that claims it records why, and it counts.
    """
    space = Space.of(definition.definition)
    cells = _draw(space, definition, attempts)
    if not cells:
        return replace(definition, cap=len(definition.points)), []
    # a cell of the point may be in the sweep already, kept from an earlier launch
    missing = max(1, len(space.sweep.seeds)) - len(cells)
    cap = None if definition.cap is None else definition.cap - missing
    return replace(definition, points=[*definition.points, *cells], cap=cap), cells


def sketch(sweep: Sweep) -> Sweep:
    """A search with example points, those of a random search, for use before any point is drawn."""
    if sweep.search is None or sweep.sampled:
        return sweep
    definition = Definition.of(replace(sweep, search=replace(sweep.search, method="random")))
    while definition.to_draw:
        definition, _ = extended(definition, ())
    return sweep.knowing(definition.points).with_points(point.params for point in definition.points)


def _draw(space: Space, definition: Definition, attempts: Sequence[Attempt]) -> list[Point]:
    """The cells of the next point that are not in the sweep yet."""
    known = {point.key for point in definition.points}
    own = [point for point in definition.points if point.key not in space.sweep.kept_choices]
    number = len({tuple(value for name, value in point.params.items() if name != "seed") for point in own})
    if not space.sweep.seeds:
        number = len(own)
    for attempt in range(TRIES):
        if cells := _new(space, _suggest(space, definition, attempts, number, attempt), known):
            return cells
    left = {tuple(cell.key for cell in cells): cells for place in space.all() if (cells := _new(space, place, known))}
    return [*left.values()][space.seed(number) % len(left)] if left else []


def _new(space: Space, place: Place, known: Iterable[str]) -> list[Point]:
    return [cell for cell in space.cells(place) if cell.key not in known]


def _suggest(space: Space, definition: Definition, attempts: Iterable[Attempt], number: int, attempt: int) -> Place:
    """What the sampler suggests as point ``number``; ``attempt`` counts repeated suggestions."""
    study = new_study(len(space.search.objectives))
    study.sampler = _sampler(space, number, attempt)
    for trial in trials(space, definition, attempts):
        study.add_trial(trial)
    return space.readable(study.ask(dict(space.axes)).params)


def trials(space: Space, definition: Definition, attempts: Iterable[Attempt]) -> Iterator[FrozenTrial]:
    """The points in the space as Optuna's trials, in the order in which they were queued.

    The value of a point is the mean over its finished cells. It is pruned if one of them is. Points of which every cell
    failed are left out.
    """
    places, cells = space.places(definition.points), defaultdict[Place, list[Attempt]](list)
    for tried in grouped(attempts).values():
        if tried[-1].point.key in places:
            cells[places[tried[-1].point.key]].append(tried[-1])
    for place, some in cells.items():
        trial = _trial(space, place, some)
        if trial is not None:
            yield trial


def _trial(space: Space, place: Place, cells: Sequence[Attempt]) -> FrozenTrial | None:
    done = [one for one in cells if one.phase is Phase.COMPLETE]
    values = None
    if any(one.phase is Phase.PRUNED for one in cells):
        if len(space.search.objectives) > 1:
            return None
        state = TrialState.PRUNED
    elif done:
        state, found = TrialState.COMPLETE, [_values(space, one) for one in done]
        values = [statistics.fmean(column) for column in zip(*found, strict=True)]
    elif any(one.phase in OPEN for one in cells):
        state = TrialState.RUNNING
    else:
        return None
    return create_trial(
        state=state,
        values=values,
        params=dict(zip(space.axes, place, strict=True)),
        distributions=dict(space.axes),
        intermediate_values=intermediate_means(cells),
    )


def _values(space: Space, cell: Attempt) -> list[float]:
    if len(space.search.objectives) == 1:
        return [float(cell.value or 0.0)]
    return [float(cell.attributes[name]) for name in space.search.objectives]


def intermediate_means(cells: Iterable[Attempt]) -> dict[int, float]:
    """By step, the mean of the intermediate accuracies of those cells of a point that have reached it."""
    values: dict[int, list[float]] = defaultdict(list)
    for cell in cells:
        for step, accuracy in cell.intermediate_values.items():
            values[step].append(accuracy)
    return {step: statistics.fmean(values[step]) for step in sorted(values)}


def new_study(objectives: int) -> optuna.Study:
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
