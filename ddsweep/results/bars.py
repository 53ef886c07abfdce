"""A bar chart of accuracies by class, drawn with Pillow: a whole plotting library would be needed for this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from ddsweep.pictures import INK, PAPER

COLOURS = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (213, 94, 0),
)  # Okabe and Ito's
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
RULE = (225, 225, 225)
UNIT = "accuracy on each class, in %"
WIDTH = 1500  # pixels; at least so wide: 300 dots an inch over both columns of a page
HEIGHT = 300  # pixels from 0 to 100 %, three for each per cent
LEFT, TOP, HEAD, GAP = 100, 80, 64, 40
TEXT, NAMES = 34, 30  # heights of fonts
BAR, THIN = 24, 4  # pixels from one bar to the next; of more than twenty classes


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        title: what stands above it.
        values: for every kind of bar, a fraction per class.
    """

    title: str
    values: Mapping[str, Sequence[float]]


def chart(panels: Sequence[Panel], classes: Sequence[str]) -> Image.Image:
    """Panels below each other, with a group of bars for each class and the names of the classes at the bottom."""
    kinds = list(dict.fromkeys(kind for panel in panels for kind in panel.values))
    font = ImageFont.load_default(TEXT)
    bar = BAR if len(classes) <= 20 else THIN
    group = max(len(kinds) * bar + 2 * bar, (WIDTH - LEFT - GAP) // len(classes) // bar * bar)
    small = ImageFont.load_default(min(NAMES, group - 4))
    names = [_upright(name, small) for name in classes]
    legend = LEFT + sum(int(font.getlength(kind)) + 96 for kind in [*kinds, UNIT]) + GAP
    width = max(LEFT + len(classes) * group + GAP, legend)
    bottom = TOP + len(panels) * (HEAD + HEIGHT + GAP)
    picture = Image.new("RGB", (width, bottom + max(name.height for name in names) + 12), PAPER)
    draw = ImageDraw.Draw(picture)
    _legend(draw, kinds, font)
    for row, panel in enumerate(panels):
        foot = TOP + row * (HEAD + HEIGHT + GAP) + HEAD + HEIGHT
        draw.text((LEFT, foot - HEIGHT - HEAD / 2), panel.title, INK, font, anchor="lm")
        for percent in (0, 25, 50, 75, 100):
            line = foot - HEIGHT * percent // 100
            draw.line((LEFT, line, width - GAP, line), RULE, 2)
            if percent % 50 == 0:
                draw.text((LEFT - 14, line), str(percent), INK, small, anchor="rm")
        for kind, values in panel.values.items():
            for index, value in enumerate(values):
                left = LEFT + index * group + (group - len(kinds) * bar) // 2 + kinds.index(kind) * bar
                if height := round(HEIGHT * value):
                    draw.rectangle((left, foot - height, left + bar - 2, foot - 1), _colour(kinds.index(kind)))
    for index, name in enumerate(names):
        picture.paste(name, (LEFT + index * group + (group - name.width) // 2, bottom - GAP + 12))
    return picture


def _legend(draw: ImageDraw.ImageDraw, kinds: Sequence[str], font: Font) -> None:
    left = float(LEFT)
    for index, kind in enumerate(kinds):
        draw.rectangle((left, TOP / 2 - 13, left + 26, TOP / 2 + 13), _colour(index))
        draw.text((left + 40, TOP / 2), kind, INK, font, anchor="lm")
        left += font.getlength(kind) + 96
    draw.text((left, TOP / 2), UNIT, INK, font, anchor="lm")


def _upright(name: str, font: Font) -> Image.Image:
    """A name turned to stand below its bars."""
    height = sum(font.getmetrics()) if isinstance(font, ImageFont.FreeTypeFont) else NAMES
    text = Image.new("RGB", (int(font.getlength(name)) + 4, height), PAPER)
    ImageDraw.Draw(text).text((text.width - 2, height / 2), name, INK, font, anchor="rm")
    return text.rotate(90, expand=True)


def _colour(index: int) -> tuple[int, int, int]:
    return COLOURS[index % len(COLOURS)]
