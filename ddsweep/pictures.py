"""Draw image sets as grids: one row per class, labeled with the names of the classes."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont, features
from torch import Tensor

from ddsweep import fonts
from ddsweep.errors import in_one_line
from ddsweep.grids import Grid, Layout

logger = logging.getLogger(__name__)
GAP, EDGE = 2, 6  # pixels between images, and around the grid
TILE = 48  # pixels: smaller images are enlarged to at most this height
FONT = 12  # pixels
LINE = 17  # pixels: height of each further line of a label, and of each line of the caption
NARROWEST = 200  # pixels: a caption is not wrapped to less
INK, SOFT = (40, 40, 40), (110, 110, 110)  # of labels, and of the caption
PAPER = (255, 255, 255)


def grid(
    images: Float[Tensor, "rows columns c h w"], rows: Sequence[str], columns: Sequence[str] = (), caption: str = ""
) -> Grid:
    """Draw a labeled grid of images.

    Small images are enlarged by a whole factor without smoothing, so that each learned pixel is shown as it is.

    Args:
        images: values in [0, 1]; one or three channels.
        rows: a label per row.
        columns: a label per column, or none; a label may have several lines.
        caption: text below the images, wrapped to their width; empty: none.

    Long labels are shortened, and letters that the font lacks are written by their number (``fonts``).
    """
    count, width, _, height_px, width_px = images.shape
    factor = max(1, TILE // height_px)
    rows, columns = fonts.names(rows), fonts.heads(columns)
    font = _font([*rows, *columns])
    widest = max((int(font.getlength(line)) + 6 for name in columns for line in name.split("\n")), default=0)
    down, across = height_px * factor + GAP, max(width_px * factor + GAP, widest)
    margin = 10 + int(max((font.getlength(name) for name in rows), default=0))
    head = 24 + LINE * max(name.count("\n") for name in columns) if columns else EDGE
    indent = (across - GAP - width_px * factor) // 2
    layout = Layout(count, width, margin + indent, head, across, down, width_px * factor, height_px * factor, factor)
    lines, bottom = _lines(fonts.drawable(caption), font, max(width * across, NARROWEST)), head + count * down
    longest = max((int(font.getlength(line)) for line in lines), default=0)
    full = margin + max(width * across, longest) + EDGE
    drawing = Image.new("RGB", (full, bottom + LINE * len(lines) + EDGE), PAPER)
    draw = ImageDraw.Draw(drawing)
    for number, line in enumerate(lines):
        draw.text((margin + indent, bottom + (number + 0.5) * LINE), line, SOFT, font, anchor="lm")
    for column, name in enumerate(columns):
        draw.text((margin + (column + 0.5) * across, head / 2), name, INK, font, anchor="mm", align="center")
    for row, name in enumerate(rows):
        draw.text((margin - 6, head + row * down + down / 2), name, INK, font, anchor="rm")
        for column in range(width):
            tile = to_pil(images[row, column]).resize((layout.width, layout.height), Image.Resampling.NEAREST)
            drawing.paste(tile, layout.corner(row, column))
    return Grid(drawing, layout)


def show(
    log: Callable[[str, bytes, int], object],
    name: str,
    images: Float[Tensor, "rows columns c h w"],
    rows: Sequence[str],
    step: int,
) -> None:
    """Draw a grid and log it. What cannot be drawn is only reported: no trial ends because of its pictures.

    Args:
        log: takes the name, the PNG file and the step (``Tracker.image``).
        name: of the grid.
        images: as for ``grid``.
        rows: as for ``grid``.
        step: of the distillation.
    """
    try:
        png = grid(images, rows).png
    except Exception as error:
        logger.warning("the grid %s of step %d was not drawn (%s)", name, step, in_one_line(error))
    else:
        log(name, png, step)


def _font(labels: Sequence[str]) -> ImageFont.FreeTypeFont:
    """The font, with the layout that joins and reverses letters only where a script needs it.

    The plain layout places the same pixels whatever libraries Pillow was built with.
    """
    complex_script = any(
        unicodedata.bidirectional(character) in ("R", "AL") or unicodedata.combining(character)
        for label in labels
        for character in label
    )
    engine = ImageFont.Layout.RAQM if complex_script and features.check("raqm") else ImageFont.Layout.BASIC
    return ImageFont.truetype(str(fonts.path()), FONT, layout_engine=engine)


def _lines(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Text in lines of at most ``width`` pixels, broken between words."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def to_pil(image: Float[Tensor, "c h w"]) -> Image.Image:
    """An image with values in [0, 1] as 8-bit RGB."""
    pixels = (image.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    return Image.fromarray(pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())


def by_class(images: Float[Tensor, "syn c h w"], ipc: int, most: int = 10) -> Float[Tensor, "rows columns c h w"]:
    """Class-major images as rows of a grid, at most ``most`` of each class."""
    return images.unflatten(0, (-1, ipc))[:, :most]
