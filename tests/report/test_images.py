"""The images in a grid are the images that went into it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from ddsweep import pictures, rng
from ddsweep.report import images

NAMES = ("cat", "automobile", "i")


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (16, 3), (28, 1), (32, 3), (50, 3)])
@pytest.mark.parametrize("count", [1, 4])
def test_cut_is_the_inverse_of_grid(size: int, channels: int, count: int, tmp_path: Path) -> None:
    pixels = torch.rand(3, count, channels, size, size, generator=rng.generator(0, "tiles"))
    path = tmp_path / "grid.png"
    pictures.grid(pixels, NAMES).save(path)
    found, margin = images.cut(path, size, count)
    assert [len(row) for row in found] == [count] * 3
    for row, expected in zip(found, pixels, strict=True):
        for tile, image in zip(row, expected, strict=True):
            assert tile.tobytes() == pictures.to_pil(image).tobytes()
    # the margin of one grid of a run says how many images another has in a row
    assert [[one.tobytes() for one in row] for row in images.cut(path, size, margin=margin)[0]] == [
        [one.tobytes() for one in row] for row in found
    ]


def test_what_is_no_such_grid_has_no_images(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    assert images.cut(path, 16, 2)[0] == []
    path.write_bytes(b"half a picture")
    assert images.cut(path, 16, 2)[0] == []
    Image.new("RGB", (40, 77)).save(path)
    assert images.cut(path, 16, 2)[0] == []
    Image.new("RGB", (40, 62)).save(path)  # the height of one row, and too narrow for two images
    assert images.cut(path, 16, 2)[0] == []
