"""Figures of accuracy: what is drawn is what was measured, and it can be read."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.text import Text

from ddsweep import sweep
from ddsweep.results import stored
from ddsweep.results.plots import accuracy, panels, style
from ddsweep.results.plots.axis import Axis
from ddsweep.results.plots.panels import Chart, Panel, Point, Series
from ddsweep.results.plots.style import Output
from ddsweep.results.result import Result
from ddsweep.results.tables import table
from ddsweep.sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RUNS = Path("runs")


def reached(number: int, at: int) -> list[float]:
    return [0.30 + 0.005 * (number * 7 % 40) + 0.02 * at, 0.32 + 0.005 * (number * 7 % 40) + 0.02 * at]


def finish(reference: str, *, without: int = -1, **settings: Any) -> Sweep:
    one = sweep.load(reference, None, settings)
    for number, cell in enumerate(one.cells):
        archs = cell.recipe.eval_archs.split("+")
        if number != without:
            Result(cell.recipe, accuracies={arch: reached(number, at) for at, arch in enumerate(archs)}).write(
                RUNS / cell.key
            )
    return one


def entries(one: Sweep, **wanted: Any) -> dict[str, tuple[float, float]]:
    """Mean and std in percent by column, of the only row with this setting."""
    built = table.build(one, stored.collect(one, RUNS))
    (row,) = [row for row in built.rows if all(table.setting_of(row)[name] == value for name, value in wanted.items())]
    return {c: (100 * e.mean, 100 * e.std) for c, e in row.items() if e.mean is not None and e.std is not None}


def curves(axes: Axes) -> list[Any]:
    return [line for line in axes.lines if line.get_marker() not in ("None", None, "") and len(line.get_xdata()) > 1]  # type: ignore[arg-type]


def dotted(axes: Axes) -> list[float]:
    return sorted(np.asarray(line.get_ydata())[0] for line in axes.lines if line.get_linestyle() == ":")


def test_figure_2_has_a_line_an_ipc_and_a_panel_a_method(figures: list[Figure]) -> None:
    one = finish("ablation-epoch")
    (path,) = accuracy.along_axis(one, RUNS)
    assert path == RUNS / "ablation-epoch@paper" / "accuracy.png"
    (figure,) = figures
    assert [axes.get_title() for axes in figure.axes] == ["DC", "DSA", "DM"]
    for axes, method in zip(figure.axes, ("dc", "dsa", "dm"), strict=True):
        for line, ipc in zip(curves(axes), (10, 50), strict=True):
            wanted = entries(one, method=method, ipc=ipc)
            epochs = [1, 4, 6, 10, 20, 35, 70, 120, 150]
            assert list(line.get_xdata()) == epochs
            assert list(line.get_ydata()) == pytest.approx([wanted[str(epoch)][0] for epoch in epochs])
        baselines = sorted(entries(one, method=method, ipc=ipc)["baseline"][0] for ipc in (10, 50))
        assert dotted(axes) == pytest.approx(baselines)
        assert axes.get_xscale() == "log"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["IPC 10", "IPC 50", "baseline"]


def test_figure_3_has_zero_on_its_logarithmic_axis(figures: list[Figure]) -> None:
    one = finish("ablation-alpha")
    accuracy.along_axis(one, RUNS)
    (axes,) = figures[0].axes
    assert axes.get_xscale() == "symlog"
    assert [list(line.get_xdata()) for line in curves(axes)] == 3 * [[0, 1, 10, 100, 500, 1000, 2000, 5000, 10000]]
    assert len(dotted(axes)) == 3
    assert "α" in figures[0].get_supxlabel()
    accuracy.along_axis(finish("ablation-n-models"), RUNS)
    assert figures[1].axes[0].get_xscale() == "linear"
    assert figures[1].get_supxlabel() == "number of PTMs $N_m$"


def test_the_band_is_one_standard_deviation(figures: list[Figure]) -> None:
    one = finish("ablation-alpha@demo", alpha=[0, 5, 50])
    accuracy.along_axis(one, RUNS)
    (axes,) = figures[0].axes
    (band,) = axes.collections
    corners = {tuple(corner) for corner in np.asarray(band.get_paths()[0].vertices).round(6).tolist()}
    for column, (mean, std) in entries(one).items():
        assert std == pytest.approx(1.0)
        for sign in (-1, 1):
            assert (float(column), round(mean + sign * std, 6)) in corners


def test_a_cell_that_is_not_there_is_left_out(figures: list[Figure]) -> None:
    one = finish("ablation-alpha@demo", without=3)
    accuracy.along_axis(one, RUNS)
    (line,) = curves(figures[0].axes[0])
    assert len(line.get_xdata()) == 8
    assert 100 not in list(line.get_xdata())


def dots(axes: Axes) -> list[ErrorbarContainer]:
    return [one for one in axes.containers if isinstance(one, ErrorbarContainer)]


def test_words_are_dots_with_their_numbers(figures: list[Figure]) -> None:
    one = finish("ablation-n-archs")
    accuracy.along_axis(one, RUNS)
    (axes,) = figures[0].axes
    wanted = entries(one)
    assert [dot[0].get_xdata()[0] for dot in dots(axes)] == pytest.approx([mean for mean, _ in wanted.values()])
    for dot, (mean, std) in zip(dots(axes), wanted.values(), strict=True):
        (bar,) = dot[2]
        assert bar.get_segments()[0][:, 0] == pytest.approx([mean - std, mean + std])
    assert [text.get_text() for text in axes.texts] == [f"{mean:.1f}" for mean, _ in wanted.values()]
    names = [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]
    assert names[:2] == ["baseline", "ConvNet-3"]
    assert names[-1] == "ConvNet-3, ConvNet-4, AlexNet, VGG-11, ResNet-18"
    low, high = axes.get_xlim()
    ends = [mean + sign * std for mean, std in wanted.values() for sign in (-1, 1)]
    assert low < min(ends) < max(ends) < high


def test_a_number_stands_beside_its_own_dot(figures: list[Figure]) -> None:
    means = {"DM": [(50.0, 51.2), (51.0, 50.4)], "DC": [(50.2, 51.4), (50.9, 51.0)]}
    series = [
        Series(name, [Point(at, mean, 0.2, reference=other) for at, (mean, other) in enumerate(both)])
        for name, both in means.items()
    ]
    chart = Chart(Axis.of("loss", ["CLoM", "CCLoM"], ["clom", "cclom"]), [Panel("", series)])
    with style.page(Path("dots.png"), *accuracy.dots_size(chart)) as figure:
        accuracy.draw_dots(figure, chart)
    (axes,) = figures[0].axes
    numbers = [text.get_window_extent() for text in axes.texts]
    everything = [pair for both in means.values() for pair in both]
    assert [text.get_text() for text in axes.texts] == [f"{mean:.1f}" for mean, _ in everything]
    for box, (mean, reference) in zip(numbers, everything, strict=True):
        ends = [axes.transData.transform((mean + sign * 0.2, 0))[0] for sign in (-1, 1)]
        dash, apart = axes.transData.transform((reference, 0))[0], 5 / 72 * figure.dpi  # five points
        assert 0 < box.x0 - ends[1] < apart or 0 < ends[0] - box.x1 < apart
        assert not box.x0 <= dash <= box.x1
        assert axes.get_window_extent().x0 <= box.x0 < box.x1 <= axes.get_window_extent().x1


def test_table_4_has_a_kind_of_dot_for_each_network(figures: list[Figure]) -> None:
    one = finish("table4")
    accuracy.along_axis(one, RUNS)
    assert [axes.get_title() for axes in figures[0].axes] == ["DC", "DSA", "DM"]
    for axes in figures[0].axes:
        assert len(dots(axes)) == 16
        assert len({(to_hex(dot[0].get_color()), dot[0].get_marker()) for dot in dots(axes)}) == 4
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == [
        "ConvNet-3", "AlexNet", "VGG-11", "ResNet-18", "baseline",
    ]  # fmt: skip


def labels(axes: Axes) -> list[Any]:
    """Where the labels of the x axis are, as far as they are in view."""
    low, high = axes.get_xlim()
    ticks = [*axes.xaxis.get_major_ticks(), *axes.xaxis.get_minor_ticks()]
    seen = [tick.label1 for tick in ticks if low <= tick.get_loc() <= high and tick.label1.get_text()]
    return [label.get_window_extent() for label in seen]


@pytest.mark.parametrize("name", sweep.names())
def test_every_figure_can_be_read(figures: list[Figure], name: str) -> None:
    one = finish(name)
    (path,) = accuracy.along_axis(one, RUNS, Output(Path("out"), "fig", ".svg"))
    assert path == Path("out/fig.svg")
    (figure,) = figures
    assert figure.get_figwidth() in (style.COLUMN, style.PAGE)
    assert all(float(text.get_fontsize()) >= 7 for text in figure.findobj(Text))
    for axes in (shown for shown in figure.axes if shown.get_visible()):  # the last row may have places without a panel
        assert not any(one_.overlaps(other) for one_, other in itertools.combinations(labels(axes), 2))
        inside = axes.get_tightbbox()
        assert inside is not None
        assert all(figure.bbox.padded(1).contains(x, y) for x, y in inside.corners())
        for legend in figure.legends:
            assert figure.bbox.padded(1).contains(*legend.get_window_extent().p0)
            assert not legend.get_window_extent().overlaps(axes.get_window_extent())


def test_more_lines_than_looks_get_panels_of_their_own() -> None:
    one = finish("ablation-alpha@demo", alpha=[0, 5], width=[4, 5, 6, 7, 8, 9, 10])
    found = panels.chart(table.build(one, stored.collect(one, RUNS))).panels
    assert [panel.title for panel in found] == [f"width {width}" for width in range(4, 11)]


def test_without_a_finished_cell_there_is_no_figure() -> None:
    assert accuracy.along_axis(sweep.load("ablation-alpha@demo"), RUNS) == []
    assert not RUNS.exists()


def test_a_decade_is_labeled_before_what_lies_between(figures: list[Figure]) -> None:
    accuracy.along_axis(finish("ablation-alpha@demo"), RUNS)
    shown = [float(label.get_text()) for label in figures[0].axes[0].get_xticklabels()]
    assert {0, 10, 100, 10000} <= set(shown)
    assert all(math.log10(one).is_integer() for one in shown if one)


def test_weights_that_six_digits_confuse_have_ticks_of_their_own(figures: list[Figure]) -> None:
    accuracy.along_axis(finish("ablation-alpha@demo", method="dm", alpha=[0, 1234567, 1234568]), RUNS)
    (axes,) = figures[0].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1234567", "1234568"]
    accuracy.along_axis(finish("ablation-alpha@demo", method="dm", alpha=[0, 2000000, 9000000]), RUNS)
    (axes,) = figures[1].axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "2000000", "9000000"]
