"""The figure of a search: every baseline says whose it is and what it reached, and a point is all seeds of a trial."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from ddsweep.results.plots import accuracy
from ddsweep.results.result import Result
from ddsweep.sweep import Sweep
from ddsweep.testing.search import searched

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RUNS = Path("runs")
ALPHA = {"distribution": "log_uniform_values", "min": 1, "max": 10000}


def finish(one: Sweep, reached: Any) -> Sweep:
    for cell in one.cells:
        mean = reached(cell.recipe)
        Result(cell.recipe, {cell.recipe.arch: [mean - 0.01, mean + 0.01]}).write(RUNS / cell.key)
    return one


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def dotted(axes: Axes) -> list[float]:
    return [float(np.asarray(line.get_ydata())[0]) for line in axes.lines if line.get_linestyle() == ":"]


def test_two_baselines_are_two_lines_with_their_setting_and_value(figures: list[Figure]) -> None:
    one = searched(axes={"alpha": ALPHA, "eval_rule": {"values": ["paper", "best"]}})
    one = one.with_points([{"alpha": 5.0, "eval_rule": "paper"}, {"alpha": 7.0, "eval_rule": "best"}])
    finish(one, lambda recipe: 0.445 if recipe.eval_rule == "paper" else 0.084 + 0.1 * bool(recipe.alpha))
    accuracy.along_axis(one, RUNS)
    (figure,) = figures
    assert sorted(dotted(figure.axes[0])) == pytest.approx([8.4, 44.5])
    assert {"baseline, eval rule paper: 44.5", "baseline, eval rule best: 8.4"} <= set(legend(figure))
    assert {"trial, eval rule paper", "trial, eval rule best"} <= set(legend(figure))
    colors = {line.get_color() for line in figure.axes[0].lines if line.get_linestyle() == ":"}
    assert len(colors) == 2


def test_one_baseline_has_its_value(figures: list[Figure]) -> None:
    one = searched().with_points([{"alpha": 5.0}])
    accuracy.along_axis(finish(one, lambda recipe: 0.95 if recipe.alpha else 0.94), RUNS)
    assert sorted(legend(figures[0])) == ["baseline: 94.0", "best", "trial"]


def test_trials_outside_a_narrowed_range_are_drawn(figures: list[Figure]) -> None:
    one = searched(axes={"alpha": ALPHA | {"min": 3, "max": 100}})
    one = one.with_points([{"alpha": value} for value in (0.5, 17.61, 1405.0)])
    accuracy.along_axis(finish(one, lambda recipe: 0.5), RUNS)
    low, high = figures[0].axes[0].get_xlim()
    assert low < 0.5
    assert high > 1405


def test_a_trial_is_the_mean_and_std_of_all_its_seeds(figures: list[Figure]) -> None:
    one = searched(axes={"alpha": ALPHA, "seed": {"values": [0, 1]}})
    one = one.with_points([{"alpha": 5.0, "seed": seed} for seed in (0, 1)])
    accuracy.along_axis(finish(one, lambda recipe: 0.5 + 0.1 * recipe.seed), RUNS)
    assert [axes.get_xlabel() for axes in figures[0].axes if axes.get_visible()] == ["α"], "a seed is no parameter"
    (trials,) = [one for one in figures[0].axes[0].containers if isinstance(one, ErrorbarContainer)]
    assert trials[0].get_ydata() == pytest.approx([55.0])
    (bar,) = trials[2][0].get_segments()
    assert bar[:, 1] == pytest.approx([55 - 100 * np.std([0.49, 0.51, 0.59, 0.61]), 55 + 100 * 0.0509902], abs=1e-4)


def test_choices_that_six_digits_confuse_have_places_of_their_own(figures: list[Figure]) -> None:
    rates = [0.12345671, 0.12345672]
    one = searched(axes={"alpha": ALPHA, "lr_img": {"values": rates}})
    one = one.with_points([{"alpha": 5.0, "lr_img": rate} for rate in rates])
    accuracy.along_axis(finish(one, lambda recipe: 0.5), RUNS)
    (axes,) = [axes for axes in figures[0].axes if axes.get_xlabel() == "lr img"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.12345671", "0.12345672"]
