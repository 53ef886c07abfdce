"""The images in the grids that trials draw into their run folders.

A grid has captions and enlarged pixels. Taken apart it is small, follows a page's width and colours, and needs neither
the dataset nor the synthetic set, which may lie on another machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

GAP, EDGE, ENLARGED, MOST = 2, 6, 48, 10  # as pictures.grid draws: between tiles, around, tile size, tiles of a class

Tiles = list[list["Image"]]
"""A row of images for each class."""


def cut(path: Path, size: int, count: int = 0, margin: int = -1) -> tuple[Tiles, int]:
    """The images of a grid that ``pictures.grid`` drew without heads, as they were; and the width of its captions.

    Args:
        path: the PNG; where it is missing or no such grid there are no images.
        size: height and width of an image in pixels.
        count: images in a row; 0: as many as there are right of ``margin``.
        margin: the width of the captions, if ``count`` is not known.
    """
    from PIL import Image as images

    factor = max(1, ENLARGED // size)
    cell = size * factor + GAP
    try:
        with images.open(path) as opened:
            grid = opened.convert("RGB")
    except OSError:
        return [], margin
    margin = grid.width - EDGE - count * cell if count else margin
    count = count or (grid.width - EDGE - margin) // cell
    rows, rest = divmod(grid.height - 2 * EDGE, cell)
    if rest or margin < 0 or count < 1:
        return [], -1

    def tile(left: int, top: int) -> Image:
        enlarged = grid.crop((left, top, left + size * factor, top + size * factor))
        return enlarged.resize((size, size), images.Resampling.NEAREST)

    lefts, tops = range(margin, margin + count * cell, cell), range(EDGE, EDGE + rows * cell, cell)
    return [[tile(left, top) for left in lefts] for top in tops], margin
