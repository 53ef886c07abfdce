"""16-bit PNG: what is written is read by Pillow, too, and every filter of others is read."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ddsweep.data.pixels import Unreadable
from ddsweep.exchange import png


def drawn(channels: int, height: int = 9, width: int = 7) -> np.ndarray:
    generator = torch.Generator().manual_seed(channels)
    return torch.randint(0, 2**16, (height, width, channels), generator=generator).numpy().astype(np.uint16)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read(channels: int, tmp_path: Path) -> None:
    pixels, path = drawn(channels), tmp_path / "a.png"
    path.write_bytes(png.encoded(pixels))
    assert np.array_equal(png.decoded(path), pixels)


def test_pillow_reads_it_with_the_bits_that_it_can() -> None:
    """Of RGB, these are the upper 8: the reason for this module. When this fails, Pillow may do for reading."""
    with Image.open(io.BytesIO(png.encoded(drawn(1)))) as image:
        assert image.mode == "I;16"
        assert np.array_equal(np.asarray(image), drawn(1)[:, :, 0])
    with Image.open(io.BytesIO(png.encoded(drawn(3)))) as image:
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), drawn(3) >> 8)


def filtered(pixels: np.ndarray, kind: int) -> bytes:
    """The rows of an image with one filter, byte by byte, as the specification says."""
    height, width, channels = pixels.shape
    step, raw = 2 * channels, pixels.astype(">u2").tobytes()
    size, out = width * 2 * channels, bytearray()
    for y in range(height):
        out.append(kind)
        for x in range(size):
            a = raw[y * size + x - step] if x >= step else 0
            b = raw[(y - 1) * size + x] if y else 0
            c = raw[(y - 1) * size + x - step] if y and x >= step else 0
            p = a + b - c
            paeth = a if abs(p - a) <= min(abs(p - b), abs(p - c)) else b if abs(p - b) <= abs(p - c) else c
            out.append((raw[y * size + x] - (0, a, b, (a + b) // 2, paeth)[kind]) % 256)
    return bytes(out)


def assembled(pixels: np.ndarray, rows: bytes, interlaced: int = 0) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 3: 2}[channels], 0, 0, interlaced)
    packed = zlib.compress(rows)
    parts = chunk(b"IDAT", packed[:20]) + chunk(b"IDAT", packed[20:])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"tEXt", b"a\0b") + parts + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("channels", [1, 3])
def test_every_filter_is_read(channels: int, kind: int, tmp_path: Path) -> None:
    pixels = drawn(channels)
    path = tmp_path / "a.png"
    path.write_bytes(assembled(pixels, filtered(pixels, kind)))
    assert png.is_deep(path)
    assert np.array_equal(png.decoded(path), pixels)


def test_what_is_not_deep(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for mode in ("L", "RGB", "RGBA", "1", "P"):
        Image.new(mode, (9, 9)).save(path)
        assert not png.is_deep(path)
    path.write_bytes(b"")
    assert not png.is_deep(path)
    Image.new("I;16", (9, 9), 300).save(path)
    assert png.is_deep(path)
    assert set(png.decoded(path).reshape(-1)) == {300}


def test_damage_is_refused(tmp_path: Path) -> None:
    pixels = drawn(3)
    whole, path = png.encoded(pixels), tmp_path / "a.png"
    for index in range(8, len(whole)):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 16]) + whole[index + 1 :])
        if png.is_deep(path):
            with pytest.raises(Unreadable):
                png.decoded(path)
    for length in range(33, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(Unreadable):
            png.decoded(path)


def test_wrong_lengths_and_filters_are_refused(tmp_path: Path) -> None:
    pixels, path = drawn(1), tmp_path / "a.png"
    rows = filtered(pixels, 0)
    for content in (rows[:-1], rows + b"\0", b"\7" + rows[1:], b"\0" * 10**6):
        path.write_bytes(assembled(pixels, content))
        with pytest.raises(Unreadable, match="damaged"):
            png.decoded(path)
    path.write_bytes(assembled(pixels, rows, interlaced=1))
    with pytest.raises(Unreadable, match="interlaced"):
        png.decoded(path)
