"""The sweep that evaluates the choice of a search again, on seeds on which it was not chosen."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ddsweep.errors import UserError
from ddsweep.sweep import Scalar, Sweep
from ddsweep.sweep.confirming import confirming
from ddsweep.testing.search import searched

ALPHA = {"alpha": {"distribution": "log_uniform_values", "min": 1, "max": 100}}


def search(*points: Mapping[str, Scalar | None], axes: dict[str, object] | None = None) -> Sweep:
    return searched(axes=ALPHA | (axes or {})).with_points(points)


def cells(sweep: Sweep) -> list[tuple[float, int]]:
    return sorted((cell.recipe.alpha, cell.recipe.seed) for cell in sweep.cells)


def test_it_has_the_trial_and_its_baseline_with_new_seeds() -> None:
    one = search({"alpha": 7.5}, {"alpha": 20.0})
    best = next(cell for cell in one.cells if cell.recipe.alpha == 7.5)
    again = confirming(one, [best], 3)
    assert cells(again) == [(alpha, seed) for alpha in (0.0, 7.5) for seed in (1, 2, 3)]
    assert (again.full_name, again.search, again.swept) == ("search-confirm@demo", None, ("alpha", "seed"))
    assert {cell.recipe.iterations for cell in again.cells} == {best.recipe.iterations}
    assert len({again.baselines[cell.key] for cell in again.cells}) == 3, "each is compared with its own seed"
    assert Sweep.from_definition(again.definition()) == again


def test_the_seeds_follow_those_of_the_search() -> None:
    points = [{"alpha": 7.5, "seed": seed} for seed in (4, 2)]
    one = search(*points, axes={"seed": {"values": [4, 2]}})
    best = next(cell for cell in one.cells if cell.recipe.alpha == 7.5)
    assert {seed for _, seed in cells(confirming(one, [best], 2))} == {5, 6}


def test_a_front_is_confirmed_trial_by_trial_and_not_as_a_product() -> None:
    extra: dict[str, object] = {"init": {"values": ["noise", "real"]}}
    one = search({"alpha": 7.5, "init": "noise"}, {"alpha": 20.0, "init": "real"}, axes=extra)
    front = [cell for cell in one.cells if cell.recipe.alpha]
    again = confirming(one, front, 2)
    found = sorted((cell.recipe.alpha, cell.recipe.init) for cell in again.cells if cell.recipe.seed == 1)
    assert found == [(0.0, "noise"), (0.0, "real"), (7.5, "noise"), (20.0, "real")], "a baseline for each"
    assert len(again.cells) == 8


@pytest.mark.parametrize("count", [-1, 0, 101])
def test_how_many_seeds(count: int) -> None:
    one = search({"alpha": 7.5})
    with pytest.raises(
        UserError, match=f"confirm: {count} is not allowed; give the number of new seeds, from 1 to 100"
    ):
        confirming(one, one.cells[-1:], count)
