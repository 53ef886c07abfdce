"""Charts and grids of a sweep: what is drawn is what was measured."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image

from ddsweep import pictures, sweep
from ddsweep.results.plots import style
from ddsweep.results.plots.classes import Panel, bars_size, class_accuracy, draw_bars
from ddsweep.results.plots.images import FINEST, GAP, draw_tiles, tiles_size
from ddsweep.results.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RUNS = Path("runs")


def chart(panels: list[Panel], classes: list[str]) -> Figure:
    with style.page(Path("chart.svg"), *bars_size(panels, classes)) as figure:
        draw_bars(figure, panels, classes)
    return figure


def test_a_long_caption_is_wrapped_to_the_width_of_the_images() -> None:
    images, rows = torch.rand(2, 6, 1, 16, 16), ["cat", "dog"]
    none, short, long = (
        pictures.grid(images, rows, caption=caption).image for caption in ("", "seed 0", "seed 0; " + "word " * 30)
    )
    assert none.width == short.width == long.width
    assert short.height == none.height + pictures.LINE
    lines = (long.height - none.height) / pictures.LINE
    assert lines == int(lines) > 3
    above = (0, 0, none.width, none.height - pictures.EDGE)
    assert short.crop(above).tobytes() == long.crop(above).tobytes()


def test_a_caption_may_have_several_lines() -> None:
    images, rows = torch.rand(2, 3, 1, 16, 16), ["cat", "dog"]
    flat, high = (
        pictures.grid(images, rows, ["A", *two]).image for two in (["B+C", "B+C+D+E"], ["B+\nC", "B+\nC+\nD+\nE"])
    )
    assert high.width < flat.width
    assert high.height == flat.height + 3 * pictures.LINE
    assert high.getpixel((0, high.height - 1)) == pictures.PAPER
    assert high.crop((0, high.height - 90, 30, high.height)).tobytes() == (
        flat.crop((0, flat.height - 90, 30, flat.height)).tobytes()
    ), "rows and their names are where they were"


def test_a_bar_is_as_high_as_its_accuracy() -> None:
    first, second = [0.0, 0.25, 1.0], [0.5, 0.1, 0.333]
    (axes,) = chart([Panel("one", {"A": first, "B": second})], ["cat", "dog", "ship"]).axes
    for color, values in zip(style.COLORS, (first, second), strict=False):
        own = [bar for bar in axes.patches if to_hex(bar.get_facecolor()) == color]
        assert [bar.get_height() for bar in own] == pytest.approx([100 * value for value in values])  # type: ignore[attr-defined]
        assert [round(bar.get_x() + bar.get_width() / 2) for bar in own] == [0, 1, 2]  # type: ignore[attr-defined]
    assert axes.get_ylim() == (0, 100)


def test_a_kind_looks_the_same_in_every_panel() -> None:
    figure = chart([Panel("one", {"A": [0.2], "B": [0.3]}), Panel("two", {"B": [0.4]})], ["cat"])
    one, two = ([(to_hex(bar.get_facecolor()), bar.get_hatch()) for bar in axes.patches] for axes in figure.axes)
    assert one[1:] == two
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A", "B"]


def test_hundred_classes_and_four_networks_fit_one_picture() -> None:
    names = ("ConvNet-3", "AlexNet", "VGG-11", "ResNet-18")
    figure = chart([Panel("baseline", {name: [0.5] * 100 for name in names})], [f"class {i}" for i in range(100)])
    (axes,) = figure.axes
    assert style.PAGE < figure.get_figwidth() < 2 * style.PAGE
    assert min(bar.get_window_extent().width for bar in axes.patches) / figure.dpi * 72 > 1  # points
    labels = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(labels))


def test_class_accuracy_has_a_chart_for_each_finished_value(figures_drawn: list[list[Panel]]) -> None:
    one = sweep.load("table4", "demo", {"seed": [0, 1]})
    archs = one.cells[0].recipe.eval_archs.split("+")
    for cell in one.cells:
        if cell.recipe.n_archs == 4:
            continue  # not finished
        level = 0.2 + 0.4 * cell.recipe.seed
        Result(
            cell.recipe,
            accuracies={arch: [level] for arch in archs},
            class_accuracy={arch: [level] * 10 for arch in archs},
        ).write(RUNS / cell.key)
    (path,) = class_accuracy(one, RUNS)
    assert path == RUNS / "table4@demo" / "class-accuracy.png"
    with Image.open(path) as picture:
        assert picture.width == round(style.PAGE * 300)
    (drawn,) = figures_drawn
    assert [panel.title for panel in drawn] == ["baseline", "1 × 20"]
    for panel in drawn:
        assert list(panel.values) == ["ConvNet-3", "AlexNet", "VGG-11", "ResNet-18"]
        assert all(values == pytest.approx([0.4] * 10) for values in panel.values.values())  # mean over the two seeds


@pytest.fixture
def figures_drawn(monkeypatch: pytest.MonkeyPatch) -> list[list[Panel]]:
    drawn: list[list[Panel]] = []
    draw = draw_bars

    def watched(figure: Figure, panels: list[Panel], classes: list[str]) -> None:
        drawn.append(list(panels))
        draw(figure, panels, classes)

    monkeypatch.setattr("ddsweep.results.plots.classes.draw_bars", watched)
    return drawn


def test_a_sweep_without_a_finished_cell_has_no_picture() -> None:
    assert class_accuracy(sweep.load("table4", "demo"), RUNS) == []
    assert not RUNS.exists()


@pytest.mark.parametrize("size", [8, 32, 224])
def test_every_learnt_pixel_is_in_the_printed_grid(size: int) -> None:
    images = torch.linspace(0, 1, 2 * 3 * size * size).reshape(2, 3, 1, size, size)
    rows, columns = ["cat", "dog"], ["0", "10", "10000"]
    width, height = tiles_size(3, columns, rows)
    with style.page(Path("grid.pdf"), width, height) as figure:
        draw_tiles(figure, images, rows, columns)
    (axes,) = figure.axes
    (shown,) = axes.images
    mosaic = torch.as_tensor(shown.get_array().copy())[..., 0] / 255  # type: ignore[union-attr]
    factor = max(1, FINEST // size)
    step = size * factor + max(1, round(GAP * size * factor))
    for row in range(2):
        for column in range(3):
            tile = mosaic[row * step :, column * step :][: size * factor : factor, : size * factor : factor]
            assert torch.allclose(tile, images[row, column, 0], atol=0.003)
    assert [label.get_text() for label in axes.get_xticklabels()] == columns
    assert [label.get_text() for label in axes.get_yticklabels()] == rows
    assert width <= style.PAGE + 1e-9
