"""Scatter plots: a point is where it belongs, in the colour of its class, and every panel has the same scale."""

from __future__ import annotations

import pytest
import torch
from PIL import Image, ImageChops

from ddsweep.pictures import PAPER
from ddsweep.results import scatter
from ddsweep.results.scatter import COLOURS, EDGE, GAP, HEAD, Points

LEFT, TOP = GAP + 2 * HEAD, GAP + 2 * HEAD  # where the first panel begins when rows and columns have names
NAMES = ["cat", "dog", "ship"]


def points(*triples: tuple[float, float, int]) -> Points:
    return Points(torch.tensor([[x, y] for x, y, _ in triples]), torch.tensor([label for *_, label in triples]))


def plot(real: Points, panels: dict[tuple[str, str], Points], columns: str = "ABC") -> Image.Image:
    return scatter.plot(real, panels, ["without", "with"], list(columns), NAMES, "a caption " * 40)


def corner(row: int, column: int) -> tuple[int, int]:
    return LEFT + column * (scatter.SIDE + GAP), TOP + row * (scatter.SIDE + GAP)


def panel(picture: Image.Image, row: int, column: int) -> Image.Image:
    left, top = corner(row, column)
    return picture.crop((left, top, left + scatter.SIDE, top + scatter.SIDE))


def colours(picture: Image.Image) -> set[object]:
    return {colour for _, colour in picture.getcolors(1 << 24) or []}


def test_a_star_is_where_its_point_is() -> None:
    real = points((0, 0, 0), (10, 10, 0))  # the scale: 10 units between the margins
    picture = plot(real, {("with", "B"): points((5, 5, 1), (10, 2.5, 2), (0, 10, 0))})
    left, top = corner(1, 1)
    room = scatter.SIDE - 2 * EDGE
    assert picture.getpixel((left + EDGE + room // 2, top + EDGE + room // 2)) == COLOURS[1]
    assert picture.getpixel((left + EDGE + room, top + EDGE + round(0.75 * room))) == COLOURS[2]
    assert picture.getpixel((left + EDGE, top + EDGE)) == COLOURS[0]  # y grows upwards


def test_a_real_image_has_the_same_place_in_every_panel_and_is_half_as_strong() -> None:
    real = points((0, 0, 0), (10, 10, 1))
    star = {(row, column): points((5, 5, 2)) for row in ("without", "with") for column in "ABC"}
    picture = plot(real, star)
    first = panel(picture, 0, 0)
    for row, column in ((0, 1), (0, 2), (1, 0), (1, 2)):
        assert panel(picture, row, column).tobytes() == first.tobytes()
    dot = first.getpixel((EDGE, scatter.SIDE - EDGE))
    mixed = tuple((ink + paper) / 2 for ink, paper in zip(COLOURS[0], PAPER, strict=True))
    assert dot == pytest.approx(mixed, abs=2)


def test_a_panel_without_a_set_says_so() -> None:
    real = points((0, 0, 0), (10, 10, 1))
    one = {("without", "A"): points((0, 10, 2))}
    picture = plot(real, one)
    empty, full = panel(picture, 1, 1), panel(picture, 0, 0)
    assert empty.tobytes() == panel(picture, 0, 2).tobytes()
    box = ImageChops.difference(empty, full).getbbox()
    assert box is not None
    assert box[1] < 2 * EDGE < scatter.SIDE / 2 < box[3]  # they differ in the star above and in the words in the middle


@pytest.mark.parametrize("columns", ["A", "AB", "ABC"])
def test_wide_enough_for_print(columns: str) -> None:
    picture = plot(points((0, 0, 0), (1, 1, 1)), {("with", "A"): points((0, 1, 2))}, columns)
    assert scatter.WIDTH <= picture.width < 2 * scatter.WIDTH


def test_rows_of_one_column_stand_beside_each_other() -> None:
    real, sets = points((0, 0, 0), (1, 1, 1)), {("with", ""): points((0.5, 0.5, 2))}
    picture = scatter.plot(real, sets, ["without", "with"], [""], NAMES, "")
    assert picture.width > picture.height
    side = (picture.width - GAP) // 2
    middle = (GAP + 2 * HEAD) + (side - GAP) // 2
    assert picture.getpixel((GAP + side + (side - GAP) // 2, middle)) == COLOURS[2]


def test_a_hundred_classes_have_a_legend_of_several_lines() -> None:
    real = points((0, 0, 0), (1, 1, 99))
    names = [f"class number {index}" for index in range(100)]
    picture = scatter.plot(real, {}, ["without", "with"], ["A", "B", "C"], names, "")
    legend = picture.crop((0, TOP + 2 * (scatter.SIDE + GAP), picture.width, picture.height))
    assert set(COLOURS) <= colours(legend)
    margin = legend.crop((legend.width - GAP, 0, legend.width, legend.height))
    assert colours(margin) == {PAPER}  # nothing is cut off


def test_no_class_lies_on_top_of_all_others() -> None:
    places = [(float(x), 5.0) for x in range(0, 101, 10)]
    many = points(*((x, y, label) for label in (0, 1) for x, y in (places if label else places[::-1])))
    picture = plot(points((0, 0, 2), (100, 100, 2)), {("without", "A"): many})
    assert {COLOURS[0], COLOURS[1]} <= colours(panel(picture, 0, 0))  # class by class, the first would be hidden
