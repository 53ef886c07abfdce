"""How the table stands on the page, and where the columns of a chart lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddsweep import sweep
from ddsweep.backends.values import Status
from ddsweep.report import Material, charts
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
    view = charts.view(material("ablation-alpha", method=["dsa", "dm"]))
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
    view = charts.view(material("table4"))
    names = [name for name, _ in view.lines]
    assert any(name.endswith("AlexNet") for name in names)
    gains = [places for name, places in view.lines if name.endswith("average gain")]
    assert gains
    assert all(place is None or place.mean.startswith(("+", "−")) for places in gains for place in places)


@pytest.mark.parametrize(
    ("name", "settings", "scale"),
    [
        ("ablation-alpha", {}, "log"),
        ("ablation-alpha", {"alpha": [0, 1, 2, 3]}, "linear"),
        ("ablation-n-archs", {}, "names"),
        ("figure1", {}, "names"),
    ],
)
def test_the_axis_is_what_its_values_are(name: str, settings: dict[str, object], scale: str) -> None:
    panels = charts.panels(material(name, **settings))
    assert panels["scale"] == scale
    assert len(panels["x"]) == len(panels["columns"])


def test_a_baseline_without_a_number_keeps_a_place_beside_the_axis() -> None:
    panels = charts.panels(material("ablation-epoch"))
    assert panels["columns"][0] == "baseline"
    assert panels["x"][0] is None
    assert panels["x"][1:] == sorted(panels["x"][1:])


def test_a_panel_without_a_number_is_left_out() -> None:
    one = material("ablation-alpha", ipc=[1, 10], alpha=[0, 1, 10])
    for cell in one.sweep.cells:
        if cell.recipe.ipc == 10:
            (RUNS / cell.key / "result.json").unlink()
    panels = charts.panels(Material.of(one.sweep, RUNS, one.status))["panels"]
    assert [panel["title"] for panel in panels] == ["IPC 1"]


def test_panels_part_what_cannot_be_compared() -> None:
    panels = charts.panels(material("ablation-alpha", method=["dsa", "dm"], ipc=[1, 10], alpha=[0, 1, 10]))["panels"]
    assert [panel["title"] for panel in panels] == ["IPC 1", "IPC 10"]
    assert [[series["name"] for series in panel["series"]] for panel in panels] == [["DSA", "DM"]] * 2
