"""A labelled grid of images as a page: what ``pictures.grid`` is in pixels, with letters that stay sharp in print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep import pictures
from ddsweep.results import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = 0.6  # inches: side of an image
FINEST = 96  # pixels of its enlargement: viewers that smooth what they enlarge then blur a hundredth of an image
GAP = 1 / 24  # between images, of their side
LETTER = 0.065  # inches: width of a letter, about


def tiles_size(count: int, columns: Sequence[str], rows: Sequence[str]) -> tuple[float, float]:
    """Inches for ``count`` images of each row: as wide as a page, or less where that makes them large enough."""
    margin = LETTER * max(map(len, rows), default=0) + 0.1
    heads = [name.split("\n") for name in columns]
    widest = max((len(line) for lines in heads for line in lines), default=0)
    side = min((drawing.PAGE - margin) / count, max(LARGEST, LETTER * widest))
    return margin + count * side, 0.25 * max(map(len, heads), default=1) + len(rows) * side


def draw_tiles(
    figure: Figure, images: Float[Tensor, "rows columns c h w"], rows: Sequence[str], columns: Sequence[str]
) -> None:
    """One image, made of all; each pixel that was learnt is enlarged without smoothing."""
    factor = max(1, FINEST // images.shape[-2])
    enlarged = images.repeat_interleave(factor, dim=-2).repeat_interleave(factor, dim=-1)
    height, width = enlarged.shape[-2:]
    gap = max(1, round(GAP * height))
    count = images.shape[1]
    mosaic = torch.ones(images.shape[2], len(rows) * (height + gap) - gap, count * (width + gap) - gap)
    for row in range(len(rows)):
        for column in range(count):
            top, left = row * (height + gap), column * (width + gap)
            mosaic[:, top : top + height, left : left + width] = enlarged[row, column]
    axes = figure.subplots()
    axes.imshow(pictures.to_pil(mosaic), interpolation="none")
    axes.set_yticks([row * (height + gap) + height / 2 for row in range(len(rows))], rows)
    axes.set_xticks([column * (width + gap) + width / 2 for column in range(count)], columns)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
