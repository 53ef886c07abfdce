"""Pictures of image sets: one row a class, with the names of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

GAP = 2  # pixels between images
LINE = 17  # pixels that a further line of a caption takes
INK = (40, 40, 40)
PAPER = (255, 255, 255)


def grid(images: Float[Tensor, "rows columns c h w"], rows: Sequence[str], columns: Sequence[str] = ()) -> Image.Image:
    """A labeled grid of images.

    Args:
        images: values in [0, 1]; one or three channels.
        rows: a caption per row.
        columns: a caption per column, or none; it may have several lines.

    Small images are enlarged by a whole factor without smoothing: each pixel that was learned is seen as it is.
    """
    count, width, _, height_px, width_px = images.shape
    factor = max(1, 48 // height_px)
    font = ImageFont.load_default(13)
    widest = max((int(font.getlength(line)) + 6 for name in columns for line in name.split("\n")), default=0)
    cell_h, cell_w = height_px * factor + GAP, max(width_px * factor + GAP, widest)
    margin = 10 + int(max((font.getlength(name) for name in rows), default=0))
    head = 24 + LINE * max(name.count("\n") for name in columns) if columns else 6
    picture = Image.new("RGB", (margin + width * cell_w + 6, head + count * cell_h + 6), PAPER)
    draw = ImageDraw.Draw(picture)
    for column, name in enumerate(columns):
        draw.text((margin + (column + 0.5) * cell_w, head / 2), name, INK, font, anchor="mm", align="center")
    for row, name in enumerate(rows):
        top = head + row * cell_h
        draw.text((margin - 6, top + cell_h / 2), name, INK, font, anchor="rm")
        for column in range(width):
            tile = to_pil(images[row, column]).resize((width_px * factor, height_px * factor), Image.Resampling.NEAREST)
            picture.paste(tile, (margin + column * cell_w + (cell_w - GAP - tile.width) // 2, top))
    return picture


def to_pil(image: Float[Tensor, "c h w"]) -> Image.Image:
    """An image with values in [0, 1] as 8-bit RGB."""
    pixels = (image.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    return Image.fromarray(pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())


def by_class(images: Float[Tensor, "syn c h w"], ipc: int, most: int = 10) -> Float[Tensor, "rows columns c h w"]:
    """Class-major images as rows of a grid, at most ``most`` of each class."""
    return images.unflatten(0, (-1, ipc))[:, :most]
