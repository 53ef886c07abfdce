"""How the table of a report is laid out."""

from __future__ import annotations

from pathlib import Path

from ddsweep import sweep
from ddsweep.backends.values import Status
from ddsweep.report import Material, numbers
from ddsweep.results.result import Result

RUNS = Path("runs")


def material(name: str, **settings: object) -> Material:
    """A finished sweep without pictures; the accuracy rises by a point from cell to cell."""
    one = sweep.load(name, "demo", settings)
    for index, cell in enumerate(one.cells):
        archs = cell.recipe.eval_archs.split("+")
        Result(cell.recipe, accuracies=dict.fromkeys(archs, [0.5 + 0.01 * index] * 2)).write(RUNS / cell.key)
    return Material.of(one, RUNS, Status(one.full_name, []))


def test_each_setting_has_one_highest_mean_and_the_baseline_is_marked() -> None:
    view = numbers.view(material("ablation-alpha", method=["dsa", "dm"]))
    assert (view.corner, view.heads) == ("α", ["DSA", "DM"])
    assert [name for name, _ in view.lines][:3] == ["0", "1", "10"]
    for column in range(2):
        places = [places[column] for _, places in view.lines]
        assert [place.best for place in places if place] == [False] * 8 + [True]
        assert [place.baseline for place in places if place] == [True] + [False] * 8
    last = view.lines[-1][1][1]
    assert last is not None
    assert (last.mean, last.std, last.difference) == ("67.0", "0.0", "+8.0")


def test_many_settings_are_lines_and_several_architectures_have_an_average_gain() -> None:
    view = numbers.view(material("table4"))
    names = [name for name, _ in view.lines]
    assert any(name.endswith("AlexNet") for name in names)
    gains = [places for name, places in view.lines if name.endswith("average gain")]
    assert gains
    assert all(place is None or place.mean.startswith(("+", "−")) for places in gains for place in places)
