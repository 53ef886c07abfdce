"""The numbers of a report: each compared with its own baseline on the seeds in common, with the cells behind it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest

from ddsweep import sweep
from ddsweep.backends.values import State, Status
from ddsweep.report import Material, numbers, text
from ddsweep.report.numbers import Place
from ddsweep.results.result import Result
from ddsweep.sweep import Sweep
from ddsweep.testing.search import searched
from tests.report.conftest import RUNS, Finished
from tests.report.test_page import Page, page


def finish(one: Sweep, reached: Any) -> Material:
    """Write a result for every cell for which there is one."""
    for cell in one.cells:
        if (values := reached(cell.recipe)) is not None:
            Result(cell.recipe, {cell.recipe.arch: values}).write(RUNS / cell.key)
    return Material.of(one, RUNS, Status(one.full_name, []))


def places(material: Material) -> dict[tuple[str, str], Place]:
    """The entries by line and head."""
    view = numbers.view(material)
    return {
        (name, head): place
        for name, line in view.lines
        for head, place in zip(view.heads, line, strict=True)
        if place is not None
    }


def test_the_report_names_the_evaluation_rule() -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 1], "eval_rule": "idc"})
    notes = numbers.view(finish(one, lambda recipe: [0.5])).notes
    assert "evaluation rule idc (best of 4 tests)" in notes


def test_the_headline_is_the_paired_difference_and_names_the_seeds() -> None:
    """All common seeds are worse by 3.9 points, but the mean of all is higher: the baseline lacks a good seed."""
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 1], "method": "dm", "seed": list(range(9))})

    def reached(recipe: Any) -> list[float] | None:
        if recipe.alpha == 0:
            return None if recipe.seed == 8 else [0.5]
        return [0.95] if recipe.seed == 8 else [0.461]

    material = finish(one, reached)
    (answer,) = text.answers(material)
    assert fmean([0.461] * 8 + [0.95]) > 0.5
    assert (answer.best, answer.difference) == ("α 1", "−3.9**")
    assert answer.basis == "mean over the seeds in common with the baseline: 0, 1, 2, 3, 4, 5, 6, 7 (8 of 9)"
    shown = page(Finished(one, RUNS, {}), status=Status(one.full_name, []))
    assert "difference −3.9** percentage points, mean over the seeds in common" in shown.text


def test_every_entry_is_compared_with_its_own_baseline() -> None:
    """``baseline: {init: real}`` along ipc: never the real images of another ipc, nor a mixture."""
    settings = {"init": ["noise", "real"], "ipc": [1, 4], "alpha": 0, "method": "dm"}
    one = replace(sweep.load("ablation-alpha", "demo", settings), axis=("ipc",), baseline={"init": "real"})
    levels = {("noise", 1): 0.1, ("noise", 4): 0.2, ("real", 1): 0.427, ("real", 4): 0.551}
    material = finish(one, lambda recipe: [levels[recipe.init, recipe.ipc]] * 3)
    found = {place: one.difference for place, one in places(material).items() if one.difference}
    assert sorted(found.values()) == ["−32.7", "−35.1"]
    varied = {one.field: one.values for one in text.settings(material)[0]}
    assert varied == {"init": "noise, real"}
    drawn = {series.name: [point.reference for point in series.points] for series in _series(material)}
    assert drawn["init noise"] == [pytest.approx(42.7), pytest.approx(55.1)]
    assert drawn["init real"] == [None, None]


def _series(material: Material) -> Any:
    from ddsweep.report import charts

    return charts.accuracies(material).panels[0].series


def test_an_incomplete_entry_says_how_many_cells_it_has_and_why(finished: Finished) -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 1], "method": "dm", "seed": [0, 1, 2, 3, 4, 5]})
    done = Finished(one, RUNS, {})
    for cell in one.cells:
        done.complete(cell, [0.41, 0.41])
    lost = {(1.0, 0): State.FAILED, (1.0, 1): State.FAILED, (0.0, 3): State.RUNNING}
    for cell in one.cells:
        if state := lost.get((cell.recipe.alpha, cell.recipe.seed)):
            shutil.rmtree(RUNS / cell.key)
            done.become(cell, state, ("no space left",) if state is State.FAILED else ())
    material = Material.of(one, RUNS, done.status)
    found = places(material)
    shares = {place.share for place in found.values()}
    assert shares == {"[4/6]", "[5/6]"}
    (entry,) = [place for place in found.values() if place.share == "[4/6]"]
    assert entry.behind is not None
    assert [(line.seed, line.state, line.reason) for line in entry.behind.cells[:3]] == [
        (0, "failed", "no space left"), (1, "failed", "no space left"), (2, "done", ""),
    ]  # fmt: skip
    shown = page(done)
    assert "9 of 12 cells are finished, 2 failed, 1 running. Results are provisional." in shown.text
    assert "41.0 ± 0.0 [4/6]" in shown.text


def test_every_number_lists_its_cells_without_a_script(finished: Finished) -> None:
    shown = page(finished)
    buttons = [one for one in shown.all("button") if one.get("popovertarget") and "popovertargetaction" not in one]
    lists = {one["id"] for one in shown.all("div") if "popover" in one}
    assert len(buttons) == len(finished.sweep.cells)
    assert {one["popovertarget"] for one in buttons} == lists
    headings = {one["id"] for one in shown.all("h3")}
    assert all(one["aria-labelledby"] in headings for one in shown.all("div") if "popover" in one)
    cell = finished.cell("dm", 100.0)
    assert (
        "DM · α 100 56.0 ± 1.0: mean ± standard deviation over 2 networks of 1 seed. +2.0: mean over 2 networks of "
        "the seed in common with the baseline: 0; p = 0.5, exact sign-flip permutation test." in shown.text
    )
    assert f"0 56.0 2 done {cell.key}" in shown.text


def test_the_best_trial_of_a_search_is_said_to_be_chosen_by_its_own_accuracy() -> None:
    one = searched(
        axes={"alpha": {"distribution": "log_uniform_values", "min": 1, "max": 10000}, "seed": {"values": [0, 1]}}
    )
    one = one.with_points([{"alpha": alpha, "seed": seed} for alpha in (5.0, 127.4) for seed in (0, 1)])
    material = finish(one, lambda recipe: [0.5 + 0.01 * recipe.seed + 0.001 * recipe.alpha] * 2)
    (answer,) = text.answers(material)
    assert (answer.best, answer.accuracy, answer.difference) == ("α 127.4", "63.2 ± 0.5", "+12.7")
    assert answer.basis == "mean over the seeds in common with the baseline: 0, 1"
    assert [name for name, _ in numbers.view(material).lines] == ["α 127.4", "α 5", "α 0"]
    shown: Page = page(Finished(one, RUNS, {}), status=Status(one.full_name, []))
    assert "The best was chosen among 2 trials by the test accuracy shown" in shown.text
    assert "ddsweep launch search@demo --confirm 6" in shown.text
