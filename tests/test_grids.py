"""The images that are read from a grid are the images that were drawn in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from ddsweep import pictures, rng
from ddsweep.grids import read_tiles

NAMES = ("cat", "automobile", "i")


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (16, 3), (28, 1), (32, 3), (50, 3)])
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("columns", [(), ("one", "two\nlines", "a long label that is wider than an image", "four")])
def test_read_tiles_is_the_inverse_of_grid(
    size: int, channels: int, count: int, columns: tuple[str, ...], tmp_path: Path
) -> None:
    pixels = torch.rand(3, count, channels, size, size, generator=rng.generator(0, "tiles"))
    path = tmp_path / "grid.png"
    path.write_bytes(pictures.grid(pixels, NAMES, columns[:count]).png)
    tiles = read_tiles(path)
    assert [len(row) for row in tiles] == [count] * 3
    for row, expected in zip(tiles, pixels, strict=True):
        for tile, image in zip(row, expected, strict=True):
            assert tile.tobytes() == pictures.to_pil(image).tobytes()


def test_a_grid_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = pictures.grid(torch.zeros(3, 1, 1, 8, 8), NAMES)
    first = grid.png
    monkeypatch.setattr(Image.Image, "save", None)
    assert grid.png is first


@pytest.mark.parametrize("content", [None, b"", b"half a picture"])
def test_a_file_that_is_missing_or_damaged_has_no_images(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    if content is not None:
        path.write_bytes(content)
    assert read_tiles(path) == []


def test_a_torn_grid_has_no_images(tmp_path: Path) -> None:
    whole = pictures.grid(torch.rand(3, 4, 3, 32, 32, generator=rng.generator(0, "torn")), NAMES).png
    path = tmp_path / "grid.png"
    path.write_bytes(whole[: len(whole) // 2])
    assert read_tiles(path) == []


def test_another_picture_has_no_images(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    Image.new("RGB", (40, 62)).save(path)
    assert read_tiles(path) == []


def drawn(*names: str) -> Image.Image:
    return pictures.grid(torch.zeros(len(names), 1, 1, 8, 8), names).image


@pytest.mark.parametrize("pair", ["中文", "éè", "αβ", "×–", "ßü", "שר", "مر", "😀😁"])
def test_captions_of_every_script_are_told_apart(pair: str) -> None:
    one, other = (drawn(name, "b").tobytes() for name in pair)
    assert one != other


def test_a_letter_of_the_font_is_drawn_and_another_one_has_its_number() -> None:
    assert drawn("\\u4e2d", "b").tobytes() == drawn("中", "b").tobytes()
    assert drawn("e\u0301", "b").tobytes() == drawn("é", "b").tobytes()
    assert drawn("a\nb", "b").tobytes() == drawn("a b", "b").tobytes()


def test_a_long_name_does_not_widen_the_grid_without_end() -> None:
    assert drawn("W" * 500, "b").width < 3 * drawn("W" * 20, "b").width
    columns = pictures.grid(torch.zeros(1, 2, 1, 8, 8), ["a"], ["c" * 500, "d"]).image
    assert columns.width < 1000
