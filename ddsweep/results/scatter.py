"""Scatter plots side by side, drawn with Pillow: real images as dots, synthetic ones as stars, a colour a class."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int64
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ddsweep.pictures import INK, PAPER

# M. A. Petroff's ten colours, found by a search that kept them apart for colour-blind readers too (arXiv:2107.02270)
COLOURS = (
    (63, 144, 218), (255, 169, 14), (189, 31, 1), (148, 164, 162), (131, 45, 182),
    (169, 107, 89), (231, 99, 0), (185, 172, 112), (113, 117, 129), (146, 218, 221),
)  # fmt: skip
WIDTH = 1500  # pixels; at least so wide: 300 dots an inch over both columns of a page
SIDE, GAP, EDGE = 560, 16, 24  # of a panel; between two; from its frame to its outermost point
DOT, STAR = 4.0, 9.5  # radii in pixels
OPACITY = 0.5  # of a dot
OUTLINE = 1.2
FRAME = (150, 150, 150)
HEAD, TEXT, SMALL = 34, 27, 23  # heights of fonts
FINER = 8  # marks are drawn so many times larger, then reduced: Pillow has no smooth edges of its own

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Points:
    """Images as points of a plane.

    Attributes:
        places: [n, 2]; x to the right, y upwards.
        labels: of the images.
    """

    places: Float[Tensor, "n 2"]
    labels: Int64[Tensor, " n"]


Key = tuple[str, str]
"""A panel by the names of its row and its column."""


def plot(
    real: Points,
    panels: Mapping[Key, Points],
    rows: Sequence[str],
    columns: Sequence[str],
    classes: Sequence[str],
    caption: str,
) -> Image.Image:
    """A panel for each row and column, all of one scale, with the same real images in each; legend and caption below.

    A place without synthetic images says so. Rows and columns change places where there is only one column.
    """
    if len(columns) == 1 < len(rows):
        panels = {(column, row): points for (row, column), points in panels.items()}
        rows, columns = columns, rows
    side = max(SIDE, math.ceil((WIDTH - 2 * GAP - HEAD) / len(columns)) - GAP)
    view = _View.of([real, *panels.values()], side)
    left, top = GAP + (2 * HEAD if any(rows) else 0), GAP + (2 * HEAD if any(columns) else 0)
    width = left + len(columns) * (side + GAP)
    foot = _foot(classes, caption, width - left - GAP)
    body = Image.new("RGB", (width, top + len(rows) * (side + GAP) + foot.height), PAPER)
    draw, font = ImageDraw.Draw(body), ImageFont.load_default(HEAD)
    backdrop = view.backdrop(real)
    for j, column in enumerate(columns):
        draw.text((left + j * (side + GAP) + side / 2, top / 2), column, INK, font, anchor="mm")
    for i, row in enumerate(rows):
        if row:
            name = _upright(row, font)
            body.paste(name, ((left - name.width) // 2, top + i * (side + GAP) + (side - name.height) // 2))
        for j, column in enumerate(columns):
            panel = view.panel(backdrop, panels.get((row, column)))
            body.paste(panel, (left + j * (side + GAP), top + i * (side + GAP)))
    body.paste(foot, (left, body.height - foot.height))
    return body


@dataclass(frozen=True)
class _View:
    """From the plane to the pixels of a panel: one scale for both directions, because distances are what counts."""

    centre: Tensor
    scale: float
    side: int

    @classmethod
    def of(cls, clouds: Sequence[Points], side: int) -> _View:
        every = torch.cat([cloud.places for cloud in clouds])
        low, high = every.amin(dim=0), every.amax(dim=0)
        widest = float((high - low).max()) or 1.0
        return cls((low + high) / 2, (side - 2 * EDGE) / widest, side)

    def backdrop(self, real: Points) -> Image.Image:
        """What all panels have in common."""
        picture = Image.new("RGBA", (self.side, self.side), (*PAPER, 255))
        self._draw(picture, real, star=False)
        return picture

    def panel(self, backdrop: Image.Image, synthetic: Points | None) -> Image.Image:
        picture = backdrop.copy()
        if synthetic is not None:
            self._draw(picture, synthetic, star=True)
        draw = ImageDraw.Draw(picture)
        if synthetic is None:
            middle = (self.side / 2, self.side / 2)
            font = ImageFont.load_default(TEXT)
            draw.text(middle, "not finished", INK, font, anchor="mm", stroke_width=4, stroke_fill=PAPER)
        draw.rectangle((0, 0, self.side - 1, self.side - 1), outline=FRAME, width=2)
        return picture.convert("RGB")

    def _draw(self, picture: Image.Image, points: Points, star: bool) -> None:
        """One point of each class in turn: no class lies on top of the others."""
        places = (points.places - self.centre) * self.scale * torch.tensor([1.0, -1.0]) + self.side / 2
        turn: dict[int, int] = {}
        order = []
        for index, label in enumerate(points.labels.tolist()):
            turn[label] = turn.get(label, 0) + 1
            order.append((turn[label], label, index))
        for _, label, index in sorted(order):
            mark = _mark(COLOURS[label % len(COLOURS)], star)
            x, y = places[index].round().int().tolist()
            picture.alpha_composite(mark, (x - mark.width // 2, y - mark.height // 2))


@lru_cache(maxsize=2 * len(COLOURS))
def _mark(colour: Colour, star: bool) -> Image.Image:
    """A translucent dot, or a star with an outline, with smooth edges."""
    radius = STAR if star else DOT
    size = 2 * math.ceil(radius + OUTLINE) + 1
    picture = Image.new("RGBA", (size * FINER, size * FINER), (*(INK if star else colour), 0))
    draw, middle = ImageDraw.Draw(picture), size * FINER / 2
    if star:
        draw.polygon(_star(middle, (radius + OUTLINE) * FINER), (*INK, 255))
        draw.polygon(_star(middle, (radius - OUTLINE) * FINER), (*colour, 255))
    else:
        box = (middle - radius * FINER, middle - radius * FINER, middle + radius * FINER, middle + radius * FINER)
        draw.ellipse(box, (*colour, round(255 * OPACITY)))
    return picture.resize((size, size), Image.Resampling.BOX)


def _star(middle: float, radius: float) -> list[tuple[float, float]]:
    """The ten corners of a five-pointed star."""
    corners = []
    for corner in range(10):
        angle, length = math.pi * (corner / 5 - 0.5), radius * (0.5 if corner % 2 else 1.0)
        corners.append((middle + length * math.cos(angle), middle + length * math.sin(angle)))
    return corners


def _foot(classes: Sequence[str], caption: str, width: int) -> Image.Image:
    """The legend and, below it, the caption in lines that fit."""
    font, small = ImageFont.load_default(TEXT), ImageFont.load_default(SMALL)
    entries = [("real image", (INK, False)), ("synthetic image", (INK, True))]
    entries += [(name, (COLOURS[label % len(COLOURS)], True)) for label, name in enumerate(classes)]
    places, x, y = [], 0.0, 0
    for name, _ in entries:
        room = font.getlength(name) + 60
        if x and x + room - 26 > width:
            x, y = 0.0, y + 2 * SMALL
        places.append((int(x), y))
        x += room
    lines = textwrap.wrap(caption, int(width / (small.getlength("e" * 50) / 50)))
    legend = y + 2 * SMALL
    picture = Image.new("RGB", (width, legend + len(lines) * (SMALL + 10) + 2 * GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    for (name, (colour, star)), (left, top) in zip(entries, places, strict=True):
        mark = _mark(colour, star)
        picture.paste(mark, (left + 14 - mark.width // 2, top + SMALL - mark.height // 2), mark)
        draw.text((left + 34, top + SMALL), name, INK, font, anchor="lm")
    for index, line in enumerate(lines):
        draw.text((0, legend + GAP + index * (SMALL + 10)), line, INK, small)
    return picture


def _upright(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    """A name turned to be read from below."""
    text = Image.new("RGB", (int(font.getlength(name)) + 4, 2 * HEAD), PAPER)
    ImageDraw.Draw(text).text((text.width / 2, HEAD), name, INK, font, anchor="mm")
    return text.rotate(90, expand=True)
