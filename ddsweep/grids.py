"""Labeled grids of images as PNG files. A grid is encoded once, and the file says where its images lie.

``pictures.grid`` draws them; trackers write, attach and upload the encoded bytes; the report reads the images back.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

KEY = "ddsweep:layout"  # of the text chunk in a PNG file

Tiles = list[list["Image"]]  # a row of images for each class


@dataclass(frozen=True)
class Layout:
    """Where the images of a grid lie, in pixels.

    Attributes:
        rows: how many rows.
        columns: how many images in a row.
        left: of the first column.
        top: of the first row.
        across: from one column to the next.
        down: from one row to the next.
        width: of an image as it is drawn.
        height: of an image as it is drawn.
        factor: by how much images are enlarged.
    """

    rows: int
    columns: int
    left: int
    top: int
    across: int
    down: int
    width: int
    height: int
    factor: int

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """The left and upper edge of an image."""
        return self.left + column * self.across, self.top + row * self.down


@dataclass(frozen=True)
class Grid:
    """A drawn grid.

    Attributes:
        image: the drawing.
        layout: where its images lie.
    """

    image: Image
    layout: Layout

    @cached_property
    def png(self) -> bytes:
        """The PNG file, with the layout in a text chunk."""
        from PIL.PngImagePlugin import PngInfo

        info, out = PngInfo(), io.BytesIO()
        info.add_text(KEY, json.dumps(asdict(self.layout)))
        self.image.save(out, "PNG", pnginfo=info)
        return out.getvalue()


def read_tiles(path: Path) -> Tiles:
    """The images of a grid as they were before they were enlarged; none if the file is missing, torn or no grid."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            layout = Layout(**json.loads(opened.info[KEY]))
            drawing = opened.convert("RGB")
    except (OSError, KeyError, ValueError, TypeError, SyntaxError):
        return []
    size = layout.width // layout.factor, layout.height // layout.factor

    def tile(row: int, column: int) -> Image.Image:
        left, top = layout.corner(row, column)
        enlarged = drawing.crop((left, top, left + layout.width, top + layout.height))
        return enlarged.resize(size, Image.Resampling.NEAREST)

    return [[tile(row, column) for column in range(layout.columns)] for row in range(layout.rows)]
