"""Charts: what is drawn is what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ddsweep import sweep
from ddsweep.results import bars, figures
from ddsweep.results.bars import Panel
from ddsweep.results.result import Result

RUNS = Path("runs")


def pixels(picture: Image.Image, colour: tuple[int, int, int]) -> set[tuple[int, int]]:
    """Where the picture has exactly this colour, below the legend."""
    return {
        (x, y)
        for x in range(picture.width)
        for y in range(bars.TOP, picture.height)
        if picture.getpixel((x, y)) == colour
    }


def test_a_bar_is_as_high_as_its_accuracy() -> None:
    first, second = [0.0, 0.25, 1.0], [0.5, 0.1, 0.333]
    picture = bars.chart([Panel("one", {"A": first, "B": second})], ["cat", "dog", "ship"])
    for colour, values in zip(bars.COLOURS, (first, second), strict=False):
        heights: dict[int, int] = {}
        for x, _ in pixels(picture, colour):
            heights[x] = heights.get(x, 0) + 1
        seen = list(dict.fromkeys(heights[x] for x in sorted(heights)))  # every bar is several pixels wide
        assert seen == [round(300 * value) for value in values if value]


def test_panels_do_not_change_each_other() -> None:
    low, high = Panel("low", {"A": [0.2, 0.2]}), Panel("high", {"A": [0.9, 0.9]})
    together = bars.chart([low, high], ["cat", "dog"])
    for index, panel in enumerate((low, high)):
        alone = bars.chart([panel], ["cat", "dog"])
        step = bars.HEAD + bars.HEIGHT + bars.GAP
        box = (0, bars.TOP, alone.width, bars.TOP + bars.HEAD + bars.HEIGHT)
        moved = (box[0], box[1] + index * step, box[2], box[3] + index * step)
        assert together.crop(moved).tobytes() == alone.crop(box).tobytes()


def test_hundred_classes_and_four_networks_fit_one_picture() -> None:
    values = {name: [0.5] * 100 for name in ("ConvNet-3", "AlexNet", "VGG-11", "ResNet-18")}
    picture = bars.chart([Panel("baseline", values)], [f"class {index}" for index in range(100)])
    assert bars.WIDTH <= picture.width < 3000
    for colour in bars.COLOURS[:4]:
        columns = {x for x, _ in pixels(picture, colour)}
        assert len(columns) == 300  # three pixels each, none hidden by its neighbour


def test_class_accuracy_has_a_chart_for_each_finished_value(monkeypatch: pytest.MonkeyPatch) -> None:
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
    drawn: list[Panel] = []
    chart = bars.chart

    def watched(panels: list[Panel], classes: list[str]) -> Image.Image:
        drawn.extend(panels)
        return chart(panels, classes)

    monkeypatch.setattr(bars, "chart", watched)
    (path,) = figures.class_accuracy(one, RUNS)
    assert path == RUNS / "table4@demo" / "class-accuracy.png"
    with Image.open(path) as picture:
        picture.load()
    assert [panel.title for panel in drawn] == ["baseline", "1 x 20"]
    for panel in drawn:
        assert list(panel.values) == ["ConvNet-3", "AlexNet", "VGG-11", "ResNet-18"]
        assert all(values == pytest.approx([0.4] * 10) for values in panel.values.values())  # mean over the two seeds


def test_a_sweep_without_a_finished_cell_has_no_picture() -> None:
    assert figures.class_accuracy(sweep.load("table4", "demo"), RUNS) == []
    assert not RUNS.exists()
