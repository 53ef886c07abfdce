"""Scatter plots: a point is where it belongs, in the color of its class, and every panel has the same scale."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from matplotlib.colors import to_hex

from ddsweep.results.plots import style, tsne
from ddsweep.results.plots.tsne import COLORS, Points, Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = ["cat", "dog", "ship"]


def points(*triples: tuple[float, float, int]) -> Points:
    return Points(torch.tensor([[x, y] for x, y, _ in triples]), torch.tensor([label for *_, label in triples]))


def draw(scene: Scene) -> Figure:
    with style.page(Path("scene.svg"), *tsne.scatter_size(scene)) as figure:
        tsne.draw_scatter(figure, scene)
    return figure


def plot(real: Points, panels: dict[tuple[str, str], Points], columns: str = "ABC") -> Figure:
    return draw(Scene(real, panels, ["without", "with"], list(columns), NAMES, "a caption " * 40))


def marks(axes: Axes, index: int) -> list[tuple[float, float, str]]:
    """What a panel shows, 0: as dots, 1: as stars."""
    cloud: Any = axes.collections[index]
    places = [(float(x), float(y)) for x, y in cloud.get_offsets()]
    return [(*place, to_hex(color)) for place, color in zip(places, cloud.get_facecolors(), strict=True)]


def test_a_star_is_where_its_point_is() -> None:
    figure = plot(points((0, 0, 0), (10, 10, 0)), {("with", "B"): points((5, 5, 1), (10, 2.5, 2), (0, 10, 0))})
    panel = figure.axes[4]  # second row, second column
    assert sorted(marks(panel, 1)) == [(0, 10, COLORS[0]), (5, 5, COLORS[1]), (10, 2.5, COLORS[2])]
    left, right = panel.get_xlim()
    assert left < 0 < 10 < right
    assert panel.get_ylim() == pytest.approx((left, right))  # one scale for both directions


def test_a_real_image_has_the_same_place_in_every_panel_and_is_half_as_strong() -> None:
    star = {(row, column): points((5, 5, 2)) for row in ("without", "with") for column in "ABC"}
    figure = plot(points((0, 0, 0), (10, 10, 1)), star)
    assert [marks(axes, 0) for axes in figure.axes] == 6 * [[(0, 0, COLORS[0]), (10, 10, COLORS[1])]]
    assert {axes.get_xlim() for axes in figure.axes} == {figure.axes[0].get_xlim()}
    assert {axes.collections[0].get_alpha() for axes in figure.axes} == {tsne.OPACITY}


def test_a_panel_without_a_set_says_so() -> None:
    figure = plot(points((0, 0, 0), (10, 10, 1)), {("without", "A"): points((0, 10, 2))})
    said = [[text.get_text() for text in axes.texts if text.get_text()] for axes in figure.axes]
    assert said == [[], *5 * [["not finished"]]]
    assert [axes.get_title() for axes in figure.axes] == ["A", "B", "C", "", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["without", "", "", "with", "", ""]


@pytest.mark.parametrize("columns", ["A", "AB", "ABC"])
def test_as_wide_as_a_page_and_all_on_it(columns: str) -> None:
    figure = plot(points((0, 0, 0), (1, 1, 1)), {("with", "A"): points((0, 1, 2))}, columns)
    assert figure.get_figwidth() == pytest.approx(style.PAGE, abs=0.1)
    parts = [*figure.axes, *figure.legends, figure.texts[0]]
    boxes = [part.get_window_extent() for part in parts]
    assert all(figure.bbox.padded(1).contains(x, y) for box in boxes for x, y in box.corners())
    panels, (legend, caption) = boxes[:-2], boxes[-2:]
    assert not any(legend.overlaps(panel) or caption.overlaps(panel) for panel in panels)
    assert min(panel.width for panel in panels) > 1.5 * figure.dpi


def test_rows_of_one_column_stand_beside_each_other() -> None:
    real, sets = points((0, 0, 0), (1, 1, 1)), {("with", ""): points((0.5, 0.5, 2))}
    figure = draw(Scene(real, sets, ["without", "with"], [""], NAMES, ""))
    without, with_ = figure.axes
    assert without.get_window_extent().y0 == pytest.approx(with_.get_window_extent().y0)
    assert marks(with_, 1) == [(0.5, 0.5, COLORS[2])]
    assert [text.get_text() for text in without.texts if text.get_text()] == ["not finished"]


def test_a_hundred_classes_have_a_legend_of_several_lines() -> None:
    names = [f"class number {index}" for index in range(100)]
    figure = draw(Scene(points((0, 0, 0), (1, 1, 99)), {}, ["without", "with"], ["A", "B", "C"], names, ""))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["real image", "synthetic image", *names]
    box = legend.get_window_extent()
    assert all(figure.bbox.padded(1).contains(x, y) for x, y in box.corners())  # nothing is cut off
    assert min(axes.get_window_extent().width for axes in figure.axes) > 1.5 * figure.dpi


def test_no_class_lies_on_top_of_all_others() -> None:
    many = points(*((float(x), 5.0, label) for label in (0, 1) for x in range(4)))
    figure = plot(points((0, 0, 2), (100, 100, 2)), {("without", "A"): many})
    drawn = [color for *_, color in marks(figure.axes[0], 1)]
    assert drawn == 4 * [COLORS[0], COLORS[1]]  # one of each in turn; class by class, the first would be hidden
