"""Drawing and pruning as pure functions of the attempts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ddsweep.backends import Definition, Point, bands, sampler
from ddsweep.backends.rules import Attempt, Phase
from ddsweep.backends.space import Space
from ddsweep.sweep import EarlyTermination, Sweep
from ddsweep.testing.search import searched

ALPHA = {"alpha": {"distribution": "log_uniform_values", "min": 1, "max": 10000}}
EARLY = EarlyTermination(eta=2, max_iter=4, s=2)


def attempt(number: int, reported: dict[int, float], phase: Phase = Phase.RUNNING) -> Attempt:
    return Attempt(
        number, number, Point(str(number), {"alpha": float(number)}, str(number)), phase, intermediate_values=reported
    )


@pytest.mark.parametrize(
    ("others", "passes"),
    [
        ([], True),  # the first always does
        ([0.4], True),
        ([0.6], False),
        ([0.6, 0.4, 0.3], True),  # the best half of four
        ([0.6, 0.7, 0.3], False),
        ([0.5], True),  # as good as the best
    ],
)
def test_the_best_part_passes_a_band(others: list[float], passes: bool) -> None:
    attempts = [attempt(number, {25: accuracy}) for number, accuracy in enumerate(others)]
    assert bands.passes_band(EARLY, [*attempts, attempt(9, {25: 0.5})], 9, 25) is passes


def test_bands_are_compared_with_their_own_kind() -> None:
    attempts = [attempt(0, {25: 0.1, 50: 0.9}), attempt(1, {25: 0.9})]
    assert not bands.passes_band(EARLY, [*attempts, attempt(9, {25: 0.5})], 9, 25)
    assert not bands.passes_band(EARLY, [*attempts, attempt(9, {25: 0.95, 50: 0.8})], 9, 50)
    assert bands.passes_band(EARLY, [*attempts, attempt(9, {25: 0.95, 50: 0.95})], 9, 50)
    ahead = [attempt(0, {25: 0.1, 50: 0.9}), attempt(1, {25: 0.2})]
    assert bands.passes_band(EARLY, [*ahead, attempt(9, {25: 0.5})], 9, 25), "what came at a later band does not count"


def test_an_earlier_attempt_of_the_same_point_is_no_rival() -> None:
    lost = attempt(0, {25: 0.9}, Phase.FAILED)
    mine = Attempt(9, 9, lost.point, Phase.RUNNING, intermediate_values={25: 0.5})
    assert bands.passes_band(EARLY, [lost, mine], 9, 25)


def test_a_drawn_number_is_one_that_a_person_can_type() -> None:
    one = searched(axes={"alpha": {"distribution": "log_uniform_values", "min": 1.23456, "max": 1.23459}}, run_cap=2)
    alphas = [cell.recipe.alpha for cell in sampler.sketch(one).cells if cell.recipe.alpha]
    assert all(1.23456 <= alpha <= 1.23459 for alpha in alphas), "short, but never out of its range"
    for alpha in (cell.recipe.alpha for cell in sampler.sketch(searched(run_cap=20)).cells):
        assert float(f"{alpha:.4g}") == alpha


@pytest.mark.parametrize(
    ("axis", "allowed"),
    [
        ({"min": 1, "max": 3}, {1.0, 2.0, 3.0}),
        ({"distribution": "q_uniform", "min": 0.5, "max": 2.2, "q": 0.5}, {0.5, 1.0, 1.5, 2.0}),
        ({"values": [7, 8.5]}, {7.0, 8.5}),
    ],
)
def test_whole_numbers_steps_and_choices(axis: dict[str, Any], allowed: set[float]) -> None:
    drawn = sampler.sketch(searched(axes={"alpha": axis}, run_cap=20))
    assert {cell.recipe.alpha for cell in drawn.cells} == {0.0, *allowed}, "all of them, then no more"


def test_a_sketch_of_a_grid_is_the_grid() -> None:
    from ddsweep import sweep

    grid = sweep.load("ablation-alpha", "demo")
    assert sampler.sketch(grid) is grid


def told(one: Sweep, *attempts: Attempt) -> list[tuple[Any, ...]]:
    """What the sampler is told: parameters, state, value."""
    definition = Definition.of(one)
    points = {point.key: point for point in (*definition.points, *(attempt.point for attempt in attempts))}
    space = Space.of(definition.definition)
    found = sampler.trials(space, replace(definition, points=[*points.values()]), attempts)
    return [(trial.params, trial.state.name, trial.value, trial.intermediate_values) for trial in found]


def test_what_lies_outside_is_not_told_to_the_sampler() -> None:
    one = searched()
    space = Space.of(one.definition())
    (base,), (inside,) = space.cells((0.0,)), space.cells((5.0,))
    assert told(one, Attempt(0, 0, base, Phase.COMPLETE, 0.9)) == [], "α = 0 is on no logarithmic axis"
    assert told(one, Attempt(1, 1, inside, Phase.COMPLETE, 0.8)) == [({"alpha": 5.0}, "COMPLETE", 0.8, {})]
    assert told(one, Attempt(2, 2, inside, Phase.FAILED)) == []


def test_the_sampler_is_told_the_mean_over_the_finished_seeds() -> None:
    one = searched(axes={**ALPHA, "seed": {"values": [0, 1, 2]}})
    cells = Space.of(one.definition()).cells((5.0,))
    assert [cell.params for cell in cells] == [{"alpha": 5.0, "seed": seed} for seed in (0, 1, 2)]
    first, second, third = cells
    done = [Attempt(0, 0, first, Phase.COMPLETE, 0.8), Attempt(1, 1, second, Phase.COMPLETE, 0.5)]
    place = {"alpha": 5.0}
    assert told(one, *done, Attempt(2, 2, third, Phase.COMPLETE, 0.2)) == [(place, "COMPLETE", pytest.approx(0.5), {})]
    assert told(one, *done, Attempt(2, 2, third, Phase.FAILED)) == [(place, "COMPLETE", pytest.approx(0.65), {})]
    assert told(one, Attempt(0, 0, first, Phase.RUNNING), Attempt(1, 1, second, Phase.FAILED)) == [
        (place, "RUNNING", None, {})
    ]


def test_a_point_is_pruned_if_one_of_its_seeds_is() -> None:
    one = searched(axes={**ALPHA, "seed": {"values": [0, 1]}})
    first, second = Space.of(one.definition()).cells((5.0,))
    pruned = Attempt(0, 0, first, Phase.PRUNED, intermediate_values={25: 0.2})
    done = Attempt(1, 1, second, Phase.COMPLETE, 0.9, intermediate_values={25: 0.6, 50: 0.7})
    ((_, state, _, intermediate),) = told(one, pruned, done)
    assert (state, intermediate) == ("PRUNED", {25: pytest.approx(0.4), 50: pytest.approx(0.7)})


def test_a_seed_is_compared_with_other_points_and_not_with_its_siblings() -> None:
    places = {"0": "a", "1": "a", "2": "b", "3": "b"}
    good, bad = attempt(0, {25: 0.7}), attempt(1, {25: 0.3})  # point a: 0.5 on average
    for accuracy, passes in ((0.55, True), (0.45, False)):
        other = attempt(2, {25: accuracy})
        assert bands.passes_band(EARLY, [good, bad, other], 2, 25, places) is passes
    assert bands.passes_band(EARLY, [attempt(2, {25: 0.2}), attempt(3, {25: 0.4}), bad, good], 1, 25, places)
    gone = attempt(2, {25: 0.1}, Phase.PRUNED)
    assert not bands.passes_band(EARLY, [gone, attempt(3, {25: 0.9})], 3, 25, places), "its point is pruned"


def test_definitions_of_before_there_were_searches_are_read() -> None:
    written = Definition.of(searched()).to_json()
    del written["cap"]
    assert Definition.from_json(written).to_draw == 0
