"""The trials of a search, best first, and their picture; every number is made up here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ddsweep.results import stored
from ddsweep.results.plots import accuracy
from ddsweep.results.result import Result
from ddsweep.results.tables import latex, ranking
from ddsweep.results.tables.ranking import Ranking
from ddsweep.sweep import QueueState, Sweep
from ddsweep.testing.search import searched

RUNS = Path("runs")


def finished(one: Sweep, accuracies: dict[float, Any]) -> None:
    """Write a result for each α; numbers are accuracies of two networks around them, or by architecture."""
    for cell in one.cells:
        told = accuracies.get(cell.recipe.alpha)
        if told is not None:
            found = told if isinstance(told, dict) else {"convnet3": told}
            pairs = {arch: [mean - 0.01, mean + 0.01] for arch, mean in found.items()}
            Result(cell.recipe, pairs).write(RUNS / cell.key)


def ranked(one: Sweep) -> Ranking:
    return ranking.build(one, stored.collect(one, RUNS), RUNS)


@pytest.fixture
def search() -> Sweep:
    one = searched().with_points({"alpha": alpha} for alpha in (3000.0, 12.5, 70.0, 5.0))
    finished(one, {0.0: 0.80, 12.5: 0.85, 3000.0: 0.70})
    looked = next(cell for cell in one.cells if cell.recipe.alpha == 70)
    path = RUNS / looked.key / ranking.LOOKS
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"7": 0.5, "25": 0.755}))
    return one


def test_trials_are_listed_best_first(search: Sweep) -> None:
    found = ranking.grid(ranked(search))
    assert found.heads == ["α", "accuracy", "vs baseline", "intermediate"]
    assert found.lines == [
        ["12.5", "85.0 ± 1.0", "+5.0", ""],
        ["0 (baseline)", "80.0 ± 1.0", "", ""],
        ["3000", "70.0 ± 1.0", "-10.0", ""],
        ["70", "waiting", "", "75.5 at step 25 of 100"],
        ["5", "waiting", "", ""],
    ]
    assert found.bold == {0}
    assert ranking.caption(ranked(search)) == (
        "test accuracy in percent, best first, mean ± std over 2 networks of seed 0; of 5 cells, 2 waiting"
        " · search@demo"
    )


def test_without_a_result_the_last_look_ranks(search: Sweep) -> None:
    better = next(cell for cell in search.cells if cell.recipe.alpha == 5)
    path = RUNS / better.key / ranking.LOOKS
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"7": 0.76}))
    assert [line[0] for line in ranking.grid(ranked(search)).lines] == ["12.5", "0 (baseline)", "3000", "5", "70"]
    path.unlink()
    assert [line[0] for line in ranking.grid(ranked(search)).lines][-2:] == ["70", "5"]


def test_records_hold_fractions(search: Sweep) -> None:
    best, base, _, looked, _ = ranking.records(ranked(search))
    assert (best["alpha"], round(best["difference"], 6), best["n"]) == (12.5, 0.05, 2)
    assert (base["baseline"], base["difference"]) == (True, None)
    assert (looked["accuracy"], looked["looked_at_step"], looked["accuracy_so_far"]) == (None, 25, 0.755)


def test_latex_has_the_best_in_bold(search: Sweep) -> None:
    text = latex.as_ranked(ranked(search))
    assert r"\textbf{12.5} & \textbf{85.0 $\pm$ 1.0} & \textbf{$+5.0$}" in text
    assert r"\label{tab:search-demo}" in text


def test_each_setting_has_its_own_baseline() -> None:
    axes = {**searched().definition()["search"]["ranges"], "eval_rule": {"values": ["paper", "best"]}}
    one = searched(axes=axes).with_points([{"alpha": 5.0, "eval_rule": "paper"}, {"alpha": 5.0, "eval_rule": "best"}])
    assert [cell.recipe.eval_rule for cell in one.cells] == ["paper", "best", "best", "paper"]
    for cell in one.cells:
        mean = 0.5 + 0.1 * (cell.recipe.eval_rule == "best") + 0.02 * (cell.recipe.alpha > 0)
        Result(cell.recipe, {"convnet3": [mean]}).write(RUNS / cell.key)
    differences = [round(trial.difference, 6) for trial in ranked(one).trials if trial.difference is not None]
    assert differences == [0.02, 0.02]


@pytest.fixture
def pareto() -> Sweep:
    axes = {**searched().definition()["search"]["ranges"], "eval_archs": {"value": "convnet3+alexnet"}}
    one = searched(axes=axes, extra={"objectives": ["accuracy/convnet3", "accuracy/alexnet"]})
    one = one.with_points({"alpha": alpha} for alpha in (1.0, 2.0, 3.0, 4.0))
    values = {0.0: (0.5, 0.5), 1.0: (0.9, 0.3), 2.0: (0.8, 0.4), 3.0: (0.8, 0.3), 4.0: (0.4, 0.6)}
    finished(one, {alpha: dict(zip(("convnet3", "alexnet"), pair, strict=True)) for alpha, pair in values.items()})
    return one


def test_several_objectives_have_a_front(pareto: Sweep) -> None:
    found = ranking.grid(ranked(pareto))
    assert found.heads[:4] == ["α", "ConvNet-3", "AlexNet", "vs baseline"]
    fronts = {line[0]: line[4] for line in found.lines}
    assert fronts == {
        "1": "front", "2": "front", "3": "", "0 (baseline)": "front", "4": "front",
    }  # fmt: skip
    assert {found.lines[index][0] for index in found.bold} == {"1", "2", "0 (baseline)", "4"}
    assert "bold: the Pareto front" in ranking.caption(ranked(pareto))
    records = {record["alpha"]: record["front"] for record in ranking.records(ranked(pareto))}
    assert records == {1.0: True, 2.0: True, 3.0: False, 0.0: True, 4.0: True}


@pytest.mark.parametrize("kind", ["search", "pareto"])
def test_a_search_has_a_picture(kind: str, request: pytest.FixtureRequest) -> None:
    (path,) = accuracy.along_axis(request.getfixturevalue(kind), RUNS)
    with Image.open(path) as picture:
        assert picture.size[0] > 900
        assert len(picture.convert("RGB").getcolors(10**6) or []) > 20


def test_a_search_without_a_result_has_none() -> None:
    assert accuracy.along_axis(searched(), RUNS) == []


def test_a_file_of_looks_that_is_half_written_is_no_look(search: Sweep) -> None:
    looked = next(cell for cell in search.cells if cell.recipe.alpha == 70)
    (RUNS / looked.key / ranking.LOOKS).write_text('{"7": 0.')
    assert all(trial.looked is None for trial in ranked(search).trials)


def test_a_trial_that_was_given_up_has_its_reason(search: Sweep) -> None:
    lost = next(cell for cell in search.cells if cell.recipe.alpha == 5)
    reason = "cannot read [/data/x.jpg]"
    one = ranked(replace(search, progress={lost.key: QueueState("failed", reason)}))
    assert [(row["failed"], row["reasons"]) for row in ranking.records(one)][-2:] == [(0, ""), (1, reason)]
    assert ranking.grid(one).lines[-1][1] == "failed"
    assert ranking.failures(one) == [f"failed: {lost.recipe.title()}: {reason}"]
    assert "of 5 cells, 1 failed, 1 waiting" in ranking.caption(one)
    assert f"% failed: {lost.recipe.title().replace(' · ', ' . ').replace('α', 'alpha')}: {reason}" in latex.as_ranked(
        one
    )
