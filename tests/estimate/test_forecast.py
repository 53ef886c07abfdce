"""From measured seconds to the estimate, by formulas written out here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from ddsweep import sweep
from ddsweep.estimate import costs, forecast, work
from ddsweep.estimate.costs import DESK, Prices
from ddsweep.estimate.forecast import Crew
from ddsweep.estimate.work import Distilled, Evaluated, Finding, Read, Trained
from ddsweep.recipe import Recipe, make
from ddsweep.results.result import Result

READ = Read(seconds=0.5, images=1201, test_images=596, size=1e6)
TRAINED = Trained(step=0.25, warm_up=5.0, cold=30.0, test=2.0, weights=1e5)
EVALUATED = Evaluated(step=0.0625, warm_up=0.5, cold=3.0, build=0.125, test=1.0)
START = 4.0


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cell computes everything itself; see ``test_reads``."""
    monkeypatch.setenv("DDSWEEP_SHARE", "off")


def distilled(**changed: float) -> Distilled:
    values = {
        "first": 2.0, "step": 3.0, "warm_up": 7.0, "cold": 60.0, "look": 0.001, "features": 8.0, "room": 1e9,
        "start": 0.75, "picture": 0.0, "first_picture": 2e4, "later_picture": 3e4,
    }  # fmt: skip
    return Distilled(**values | changed)


def prices(recipes: list[Recipe], steps: Distilled | None = None) -> Prices:
    def finding(kind: work.Kind) -> Finding:
        match kind:
            case work.Loading():
                return READ
            case work.Training():
                return TRAINED
            case work.Evaluating():
                return EVALUATED
            case work.Distilling():
                return steps or distilled()

    return Prices({kind: finding(kind) for kind in work.of_all(recipes)})


def demo(**choices: Any) -> Recipe:
    return make({"target": "digits", "ipc": 5, "method": "dm", "width": 8, "iterations": 20, **choices})


def test_a_cell_of_dm() -> None:
    recipe = demo(regularizer="none", eval_nets=3, eval_epochs=40, eval_rule="best")
    job = prices([recipe], distilled(picture=0.2)).job(recipe)
    drawn = 6  # real, and the set at 0, 5, 10, 15, 20
    tests = 20  # best looks at the test set twenty times
    assert job.before == 0.5
    assert job.ptms == ()
    assert job.after == pytest.approx(
        DESK + 0.75 + 7.0 + 20 * 2.0 + drawn * 0.2 + 0.5 + 3 * (0.125 + 40 * 0.0625 + tests * 1.0)
    )  # fmt: skip


def test_later_steps_of_dc_train_the_network_first() -> None:
    recipe = demo(method="dc", outer_loops=5, inner_epochs=7)
    assert prices([recipe]).distilling(recipe) == pytest.approx(0.75 + 7.0 + 20 * (2.0 + 4 * 3.0))


def test_a_ptm_is_trained_from_its_last_epoch_on() -> None:
    recipe = demo(ptm_archs="convnet3", ptm_train_epochs=30, ptm_batch=100)
    (one,) = forecast.trainings(recipe)
    batches = math.ceil(1201 / 100)
    price = prices([recipe])
    assert price.training(one, {30}) == 5.0 + 30 * batches * 0.25 + 2.0
    assert price.training(one, {10, 30}, {10}) == 5.0 + 20 * batches * 0.25 + 2.0
    assert price.training(one, {10, 20, 30}, {10}) == 5.0 + 20 * batches * 0.25 + 2 * 2.0  # a test for each kept epoch
    assert price.training(one, {10, 30}, {30}) == 5.0 + 10 * batches * 0.25 + 2.0  # a training does not go backwards
    assert price.training(one, {10, 30}, {10, 30}) == 0


@pytest.mark.parametrize("room", [1e9, 1201 * 8.0])
def test_the_looks_of_cclom(room: float) -> None:
    recipe = demo(source="shapes", cclom_batch=50, n_models=2)
    draws = 20 * 50 / 2
    seen = 1201 * (1 - (1 - 1 / 1201) ** draws)
    looks = 2 * seen if room == 1e9 else seen + draws  # the second PTM's features find no room
    ours, forgetful = prices([recipe], distilled(room=room)).looking(recipe)
    assert (ours, forgetful) == (pytest.approx(0.001 * looks), pytest.approx(0.001 * 2 * draws))


def test_a_whole_sweep(tmp_path: Path) -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 10, 100], "iterations": 20, "eval_nets": 1})
    cells = [cell.recipe for cell in one.cells]
    left = forecast.Left.of(one, tmp_path)
    view = forecast.outlook(left, tmp_path, Crew(devices=1, per_device=2), prices(cells), START)
    cell = 0.5 + DESK + 0.75 + 7.0 + 20 * 2.0 + 0.5 + 0.125 + 200 * 0.0625 + 1.0
    training = 5.0 + 20 * math.ceil(1201 / 64) * 0.25 + 2.0 + 30.0
    # the first of each kind is cold: the baseline its steps and the evaluation, the next cell the steps with a PTM
    assert list(view.cells.values()) == [pytest.approx(cell + extra) for extra in (60 + 3, 60, 0)]
    assert list(view.trainings.values()) == [pytest.approx(training)]
    # agent 1: the baseline, then the third cell; agent 2: the training and the second cell
    ends = (cell + 63 + cell, training + cell + 60)
    assert ends[1] > cell + 63  # so the first agent is free before the other
    assert view.wall == pytest.approx(2 * START + 0.5 + max(ends) + forecast.CLOSING)
    assert view.device_seconds == pytest.approx((3 * cell + 123 + training) / 2)
    alone = 5.0 + 20 * math.ceil(1201 / 64) * 0.25 + 2.0
    assert view.saving.ptms == pytest.approx(2 * alone - training)


@pytest.mark.parametrize(("devices", "per_device"), [(1, 1), (1, 2), (2, 3)])
def test_agents_that_share_a_device_share_its_seconds(devices: int, per_device: int, tmp_path: Path) -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 10, 100], "iterations": 20, "eval_nets": 1})
    left = forecast.Left.of(one, tmp_path)
    price = prices([cell.recipe for cell in one.cells])
    view = forecast.outlook(left, tmp_path, Crew(devices, per_device), price, START)
    busy = sum(view.cells.values()) + sum(view.trainings.values())
    assert view.device_seconds == pytest.approx(busy / per_device)


def test_features_that_are_kept_are_a_saving(tmp_path: Path) -> None:
    """Of 20 steps that draw 50 of the 1201 images each, one PTM computes what it has not seen yet."""
    choices = {"source": "shapes", "alpha": [0, 10], "iterations": 20, "cclom_batch": 50, "eval_nets": 1}
    one = sweep.load("ablation-alpha", "demo", choices)
    assert [cell.recipe.regularizer for cell in one.cells] == ["none", "cclom"]
    price = prices([cell.recipe for cell in one.cells])
    view = forecast.outlook(forecast.Left.of(one, tmp_path), tmp_path, Crew(1, 1), price, START)
    draws = 20 * 50
    seen = 1201 * (1 - (1 - 1 / 1201) ** draws)
    assert view.saving.features == pytest.approx(0.001 * (draws - seen))
    assert view.saving.features > 0


def test_bytes_of_a_set_and_of_a_ptm() -> None:
    """Float32 images, int64 labels; weights of every epoch kept, and of the checkpoint with as many momenta."""
    small, large = demo(regularizer="none", ipc=5), demo(regularizer="none", ipc=6)
    price = prices([small, large])
    assert costs.cell(large, price) - costs.cell(small, price) == 10 * (4 * 16 * 16 + 8)
    guided = demo(ptm_train_epochs=30)
    (one,) = forecast.trainings(guided)
    price = prices([guided])
    assert costs.ptm(one, {10, 30}, price) == (2 + 2) * 1e5 + costs.GENERATOR
    assert costs.ptm(one, {10}, price) == (1 + 2) * 1e5 + costs.GENERATOR
    assert costs.ptm(one, set(), price) == 0


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 10]})
    done = one.cells[0]
    seconds = {"pretrain": 0.0, "distill": 20.0, "evaluate": 5.0}
    Result(done.recipe, {"convnet3": [0.5]}, {"convnet3": [0.5] * 10}, seconds).write(tmp_path / done.key)
    left = forecast.Left.of(one, tmp_path)
    view = forecast.outlook(left, tmp_path, Crew(1, 1), prices([one.cells[1].recipe]), START)
    assert list(view.cells) == [one.cells[1].key]
    assert (view.ended, view.saving.done) == (1, 25.0)


def test_nothing_is_left(tmp_path: Path) -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0]})
    Result(one.cells[0].recipe, {"convnet3": [0.5]}, {"convnet3": [0.5] * 10}).write(tmp_path / one.cells[0].key)
    left = forecast.Left.of(one, tmp_path)
    assert left.kinds == []
    view = forecast.outlook(left, tmp_path, Crew(1, 1), Prices({}), 0.0)
    assert (view.cells, view.wall, view.device_seconds, view.disk) == ({}, 0.0, 0.0, 0.0)


def test_data_and_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    one = sweep.load("table3", "paper")
    lacking = forecast.outlook(
        left := forecast.Left.of(one, tmp_path), tmp_path, Crew(1, 1), prices(list(left.recipes.values())), 0.0
    ).lacking
    assert [line.partition(":")[0] for line in lacking] == [
        "data imagenette", "data imagefruit", "PTM resnet18-imagenet, published", "PTM clip-rn50, published",
    ]  # fmt: skip
