"""What a figure of accuracies shows, before anything draws it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ddsweep import sweep
from ddsweep.results import stored
from ddsweep.results.plots import panels
from ddsweep.results.plots.panels import Chart
from ddsweep.results.result import Result
from ddsweep.results.tables import comparison, table

RUNS = Path("runs")


def finish(name: str, *, without: int = 0, **settings: Any) -> sweep.Sweep:
    """A sweep whose accuracy rises by a point from cell to cell; ``without`` is an ipc that is not finished."""
    one = sweep.load(name, "demo", settings)
    for index, cell in enumerate(one.cells):
        if cell.recipe.ipc != without:
            archs = cell.recipe.eval_archs.split("+")
            accuracies = [0.49 + 0.01 * index, 0.51 + 0.01 * index]
            Result(cell.recipe, accuracies=dict.fromkeys(archs, accuracies)).write(RUNS / cell.key)
    return one


def chart(one: sweep.Sweep) -> Chart:
    return panels.chart(table.build(one, stored.collect(one, RUNS)))


@pytest.mark.parametrize(
    ("name", "settings", "scale"),
    [
        ("ablation-alpha", {}, "symlog"),
        ("ablation-alpha", {"alpha": [0, 1, 2, 3]}, "linear"),
        ("ablation-n-archs", {}, "category"),
        ("figure1", {}, "category"),
        ("table4", {}, "category"),
    ],
)
def test_the_scale_follows_from_the_values(name: str, settings: dict[str, Any], scale: str) -> None:
    axis = chart(finish(name, **settings)).axis
    assert axis.scale == scale
    assert len(axis.values) == len(axis.labels) == len(axis.positions)


def test_a_baseline_without_a_number_stands_beside_the_axis() -> None:
    axis = chart(finish("ablation-epoch")).axis
    assert axis.labels[0] == "baseline"
    assert axis.values[0] is None
    assert axis.values[1:] == [1, 2, 4, 6, 10, 20]
    assert axis.positions[0] < 1


def test_a_panel_without_a_finished_entry_is_left_out() -> None:
    drawn = chart(finish("ablation-alpha", without=10, method=["dsa", "dm"], ipc=[1, 10], alpha=[0, 1, 10]))
    assert [panel.title for panel in drawn.panels] == ["DSA", "DM"]
    assert [[(series.name, len(series.points)) for series in panel.series] for panel in drawn.panels] == [
        [("IPC 1", 3), ("IPC 10", 0)]
    ] * 2
    alone = chart(finish("ablation-alpha", without=1, ipc=[1, 10], width=[4, 8], alpha=[0, 1]))
    assert [panel.title for panel in alone.panels] == ["IPC 10"]


def test_a_point_has_what_a_reader_who_points_at_it_asks_for() -> None:
    one = finish("ablation-alpha", alpha=[0, 10])
    built = table.build(one, stored.collect(one, RUNS))
    ((series,),) = [panel.series for panel in panels.chart(built).panels]
    assert series.baseline == pytest.approx(50)
    assert [(point.mean, point.std, point.n, point.baseline, point.detail) for point in series.points] == [
        (pytest.approx(50), pytest.approx(1), 2, True, "baseline"),
        (pytest.approx(51), pytest.approx(1), 2, False, "+1.0"),
    ]
    beside = panels.chart(built, comparison.with_sweep(one, built, "mine@quick", built))
    assert beside.panels[0].series[0].points[1].detail == "+1.0 · mine@quick 51.0 ± 1.0"
    assert beside.panels[0].series[0].points[1].other == pytest.approx(51)
    assert beside.other == "mine@quick"
