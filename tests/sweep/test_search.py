"""Searches: from a file to a sweep, to W&B and back; one-line errors for mistakes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from ddsweep import sweep
from ddsweep.errors import UserError
from ddsweep.sweep import EarlyTermination, Sweep
from ddsweep.sweep import wandb as configurations
from tests.sweep.examples import minimal, write

ALPHA = {"distribution": "log_uniform_values", "min": 0.1, "max": 1e4}


def document(method: str = "random", axis: Any = ALPHA, extra: dict[str, Any] | None = None, **changes: Any) -> str:
    """The path of a file that searches for α."""
    block = minimal()["x-ddsweep"] | (extra or {})
    whole = minimal(method=method, run_cap=4, parameters={"alpha": axis}) | {"x-ddsweep": block} | changes
    return write(yaml.safe_dump({name: value for name, value in whole.items() if value is not None}))


def load(profile: str = "demo", settings: dict[str, Any] | None = None, **changes: Any) -> Sweep:
    return sweep.load(document(**changes), profile, settings)


def test_before_anything_is_sampled_there_is_the_baseline() -> None:
    loaded = load()
    assert [cell.point for cell in loaded.cells] == [{"alpha": 0.0}]
    assert (loaded.swept, loaded.size, loaded.describe("alpha")) == (("alpha",), 5, "0.1 … 10000 (log)")
    assert {recipe.alpha for recipe in loaded.recipes} == {0.0, 0.1, 1e4}


def test_sampled_points_are_cells_in_the_order_of_the_axis() -> None:
    loaded = load(settings={"method": ["dm", "dsa"]}).with_points(
        [{"alpha": 50.0, "method": "dm"}, {"alpha": 7.0, "method": "dsa"}, {"alpha": -1.0, "method": "dm"}]
    )
    places = [(cell.recipe.alpha, cell.recipe.method) for cell in loaded.cells]
    assert places == [(0.0, "dm"), (0.0, "dsa"), (7.0, "dsa"), (50.0, "dm")], "a baseline per method; -1 is invalid"
    again = Sweep.from_definition(json.loads(json.dumps(loaded.definition())))
    assert again.with_points(loaded.sampled) == loaded


def test_a_sampled_point_with_the_values_of_the_baseline_is_a_cell() -> None:
    search = load(settings={"method": ["dm", "dsa"]}, extra={"baseline": {"method": "dm"}})
    loaded = search.with_points([{"alpha": 50.0, "method": "dm"}, {"alpha": 50.0, "method": "dsa"}])
    pinned, first, second = loaded.cells
    assert [(cell.recipe.alpha, cell.recipe.method) for cell in (first, second)] == [(50.0, "dm"), (50.0, "dsa")]
    assert loaded.baselines == {pinned.key: pinned.key, first.key: first.key, second.key: first.key}


@pytest.mark.parametrize(
    ("settings", "baseline", "point"),
    [
        ({"regularizer": "none"}, {"regularizer": "clom"}, {"alpha": 50.0}),  # without guidance, α is 0
        ({"alpha_by_arch": ["convnet3:5", "convnet3:7"]}, {"arch": "convnet3"}, {"alpha_by_arch": "convnet3:7"}),
    ],
)
def test_a_registered_point_leads_back_to_its_cell(
    settings: dict[str, Any], baseline: dict[str, Any], point: dict[str, Any]
) -> None:
    sampled = load(settings=settings, extra={"baseline": baseline}).with_points([point])
    again = replace(sampled, sampled=()).with_points(cell.point for cell in sampled.cells)
    assert {cell.key for cell in again.cells} == {cell.key for cell in sampled.cells}
    assert len(sampled.cells) > 1


def test_the_definition_of_a_grid_has_no_search() -> None:
    assert "search" not in sweep.load("ablation-alpha").definition()


def test_set_pins_a_range_or_replaces_it_by_values() -> None:
    pinned = load(settings={"alpha": 5.0})
    assert pinned.search is None
    assert [cell.recipe.alpha for cell in pinned.cells] == [5.0]
    chosen = load(settings={"alpha": [1, 10]})
    assert chosen.search is not None
    assert (chosen.search.ranges, chosen.describe("alpha")) == ({}, "1, 10")


def test_a_range_of_whole_numbers_is_int_uniform_as_at_w_and_b() -> None:
    loaded = load(axis={"min": 1, "max": 10})
    assert loaded.search is not None
    assert loaded.search.ranges["alpha"].distribution == "int_uniform"


def test_every_epoch_in_the_range_is_kept_when_a_ptm_is_trained() -> None:
    axes = {"alpha": {"value": 5}, "ptm_epoch": {"min": 2, "max": 5}}
    loaded = load("paper", parameters=axes, extra={"axis": ["ptm_epoch"]})
    assert {recipe.ptm_epoch for recipe in loaded.recipes} == {0, 2, 3, 4, 5}


def test_a_step_may_be_as_wide_as_its_range() -> None:
    loaded = load(axis={"distribution": "q_uniform", "min": 1, "max": 5, "q": 4})
    assert loaded.search is not None
    assert loaded.search.ranges["alpha"].q == 4


@pytest.mark.parametrize(
    ("early", "bands", "steps"),
    [
        (EarlyTermination(3, max_iter=27, s=2), (3, 9), [12, 34]),
        (EarlyTermination(2, max_iter=5, s=2), (1, 2), [20, 40]),
        (EarlyTermination(3, min_iter=3), (3, 9), [12, 34]),  # of 27; there is no band at the end
        (EarlyTermination(4, max_iter=16, s=9), (1, 4), [7, 25]),
    ],
)
def test_bands_are_those_of_w_and_b(early: EarlyTermination, bands: tuple[int, ...], steps: list[int]) -> None:
    assert early.bands == bands
    assert [early.step(band, 100) for band in bands] == steps


HYPERBAND = {"type": "hyperband", "max_iter": 8, "s": 1}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"method": "grid", "run_cap": None}, "parameters.alpha: a range needs method: random or bayes"),
        ({"axis": {"values": [0, 1]}, "method": "grid"}, "run_cap: needs method: random or bayes"),
        ({"run_cap": None}, "run_cap: method random needs the number of points to sample: run_cap: 20"),
        ({"run_cap": 0}, "run_cap: input should be greater than or equal to 1"),
        (
            {"axis": ALPHA | {"distribution": "loguniform"}},
            "unknown distribution 'loguniform'; did you mean uniform?",
        ),
        (
            {"axis": ALPHA | {"distribution": "log_uniform"}},
            "log_uniform takes exponents; use log_uniform_values, which takes the values",
        ),
        ({"axis": ALPHA | {"min": 0}}, "alpha.min: 0 has no logarithm; log_uniform_values needs min above 0"),
        ({"axis": ALPHA | {"max": 0.1}}, "min must be below max, but 0.1 is not below 0.1"),
        ({"axis": {"min": 1}}, "parameters.alpha: a range needs both min and max"),
        ({"axis": {"min": 1, "max": 5, "values": [1]}}, "needs either value, or values, or min and max"),
        ({"axis": {"distribution": "int_uniform", "min": 0.5, "max": 5}}, "int_uniform needs whole numbers"),
        ({"axis": ALPHA | {"q": 2}}, "log_uniform_values takes no q, only q_uniform does"),
        ({"axis": {"distribution": "q_uniform", "min": 1, "max": 5, "q": 9}}, "q: must be above 0 and at most max"),
        ({"parameters": {"alpha": ALPHA, "width": {"min": 1.0, "max": 5.0}}}, "width: 1.0 is not allowed"),
        ({"parameters": {"alpha": ALPHA, "width": {"min": 0, "max": 5}}}, "width: 0 is not allowed"),
        ({"extra": {"exclude": [{"alpha": 1}]}}, "x-ddsweep.exclude: a search has no cells to exclude"),
        ({"extra": {"axis": ["method"]}}, "x-ddsweep.axis: method is not one of the parameters; allowed: alpha"),
        ({"metric": {"name": "loss", "goal": "minimize"}}, "metric: must be accuracy, maximized"),
        ({"early_terminate": {"type": "envelope"}}, "early_terminate.type: input should be 'hyperband'"),
        ({"early_terminate": {"type": "hyperband"}}, "needs exactly one of min_iter and max_iter"),
        ({"early_terminate": {"type": "hyperband", "max_iter": 9}}, "set both or neither"),
        (
            {"early_terminate": {"type": "hyperband", "min_iter": 30}},
            "has no band between the first and the last of 27 iterations",
        ),
        (
            {"extra": {"objectives": ["loss"]}},
            "x-ddsweep.objectives: unknown objective 'loss'; write accuracy, or accuracy/NETWORK",
        ),
        ({"extra": {"objectives": ["accuracy", "accuracy"]}}, "lists the same objective twice"),
        ({"extra": {"objectives": ["accuracy", "accuracy/vgg11"]}}, "accuracy/vgg11: not evaluated"),
        (
            {"extra": {"objectives": ["accuracy", "accuracy/convnet3"]}, "early_terminate": HYPERBAND},
            "early_terminate: needs a single objective",
        ),
    ],
)
def test_a_mistake_is_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        load(**changes)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_the_configuration_at_w_and_b() -> None:
    loaded = load(method="bayes", early_terminate=HYPERBAND, axis=ALPHA)
    configuration = yaml.safe_load(configurations.text(configurations.configuration(loaded, run_cap=3)))
    assert (configuration["method"], configuration["run_cap"], configuration["early_terminate"]) == (
        "bayes",
        3,
        {"eta": 3, **HYPERBAND},
    )
    assert configuration["parameters"]["alpha"] == ALPHA
    assert configurations.restore(configuration) == configurations.with_sampled_seeds(loaded)


def test_w_and_b_has_one_metric() -> None:
    with pytest.raises(UserError, match="mine@demo has 2 objectives, but W&B optimizes only one; launch"):
        configurations.configuration(load(extra={"objectives": ["accuracy", "accuracy/convnet3"]}))


def test_changes_of_a_search_are_listed_and_a_larger_run_cap_is_none() -> None:
    before, after = load(run_cap=4), load(run_cap=9, axis=ALPHA | {"max": 10.0}, early_terminate=HYPERBAND)
    assert configurations.changes(before, after) == [
        "alpha: 0.1 … 10000 (log) → 0.1 … 10 (log)",
        "early_terminate: none → {'type': 'hyperband', 'eta': 3, 'max_iter': 8, 's': 1}",
    ]
    assert configurations.changes(before, load(run_cap=9)) == []
