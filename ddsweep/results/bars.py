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
HEIGHT = 100  # pixels from 0 to 100 %, so that a bar is as high as its accuracy in per cent
LEFT, TOP, HEAD, GAP = 44, 30, 24, 16


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
    font = ImageFont.load_default(13)
    bar = 10 if len(classes) <= 20 else 4
    group = len(kinds) * bar + 2 * bar
    names = [_upright(name, font) for name in classes]
    legend = LEFT + sum(int(font.getlength(kind)) + 40 for kind in kinds)
    width = max(LEFT + len(classes) * group + GAP, legend)
    bottom = TOP + len(panels) * (HEAD + HEIGHT + GAP)
    picture = Image.new("RGB", (width, bottom + max(name.height for name in names) + 4), PAPER)
    draw = ImageDraw.Draw(picture)
    _legend(draw, kinds, font)
    for row, panel in enumerate(panels):
        foot = TOP + row * (HEAD + HEIGHT + GAP) + HEAD + HEIGHT
        draw.text((LEFT, foot - HEIGHT - HEAD / 2), panel.title, INK, font, anchor="lm")
        for percent in (0, 25, 50, 75, 100):
            draw.line((LEFT, foot - percent, width - GAP, foot - percent), RULE)
            if percent % 50 == 0:
                draw.text((LEFT - 6, foot - percent), str(percent), INK, font, anchor="rm")
        for kind, values in panel.values.items():
            for index, value in enumerate(values):
                left = LEFT + index * group + bar + kinds.index(kind) * bar
                if height := round(HEIGHT * value):
                    draw.rectangle((left, foot - height, left + bar - 2, foot - 1), _colour(kinds.index(kind)))
    for index, name in enumerate(names):
        picture.paste(name, (LEFT + index * group + (group - name.width) // 2, bottom - GAP + 4))
    return picture


def _legend(draw: ImageDraw.ImageDraw, kinds: Sequence[str], font: Font) -> None:
    left = float(LEFT)
    for index, kind in enumerate(kinds):
        draw.rectangle((left, TOP / 2 - 5, left + 10, TOP / 2 + 5), _colour(index))
        draw.text((left + 16, TOP / 2), kind, INK, font, anchor="lm")
        left += font.getlength(kind) + 40


def _upright(name: str, font: Font) -> Image.Image:
    """A name turned to stand below its bars."""
    text = Image.new("RGB", (int(font.getlength(name)) + 4, 16), PAPER)
    ImageDraw.Draw(text).text((text.width - 2, 8), name, INK, font, anchor="rm")
    return text.rotate(90, expand=True)


def _colour(index: int) -> tuple[int, int, int]:
    return COLOURS[index % len(COLOURS)]
