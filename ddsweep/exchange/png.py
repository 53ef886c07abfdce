"""PNG with 16 bits per channel, gray or RGB: Pillow reduces RGB to 8 bits, and torchvision's decoder is deprecated.

The format: https://www.w3.org/TR/png-3/. Files are written without filters; all filters are read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ddsweep.data.pixels import Unreadable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = struct.Struct(">IIBBBBB")  # width, height, bits, color type, compression, filter method, interlacing
COLORS = {1: 0, 3: 2}  # channels -> color type
NONE, SUB, UP, AVERAGE, PAETH = range(5)  # filters of a row
LARGEST = 2**14  # height and width in pixels


def encoded(pixels: np.ndarray) -> bytes:
    """Return a file with the pixels, [h, w, c] uint16 with one or three channels."""
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + 2 * width * channels), np.uint8)  # the first byte of a row is its filter: none
    rows[:, 1:] = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(height, -1)
    header = HEADER.pack(width, height, 16, COLORS[channels], 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows.tobytes())) + _chunk(b"IEND", b"")


def is_deep(path: Path) -> bool:
    """Return whether the file is a PNG with 16 bits per channel, gray or RGB, without transparency."""
    with path.open("rb") as file:
        start = file.read(len(SIGNATURE) + 8 + HEADER.size)
    if len(start) < len(SIGNATURE) + 8 + HEADER.size or not start.startswith(SIGNATURE):
        return False
    _, _, bits, color, *_ = HEADER.unpack(start[len(SIGNATURE) + 8 :])
    return bits == 16 and color in COLORS.values()


def decoded(path: Path) -> np.ndarray:
    """Return the pixels of a file that ``is_deep``, [h, w, c] uint16.

    Raises:
        Unreadable: it is damaged, too large, interlaced, or transparent.
    """
    content = path.read_bytes()
    try:
        chunks = list(_chunks(content))
        width, height, _, color, _, _, interlaced = HEADER.unpack(chunks[0][1])
        if interlaced or any(kind == b"tRNS" for kind, _ in chunks):
            raise Unreadable("16 bits per channel, interlaced or with transparency; save it without")
        if not 0 < width <= LARGEST or not 0 < height <= LARGEST:
            raise Unreadable(f"{width}x{height} pixels; at most {LARGEST}x{LARGEST}")
        step = 2 * (1 if color == COLORS[1] else 3)
        length = height * (1 + width * step)
        packed = zlib.decompressobj()
        raw = packed.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"), length)
    except (struct.error, zlib.error, IndexError, ValueError) as error:
        raise Unreadable(f"damaged ({error})") from None
    if len(raw) != length or not packed.eof:
        raise Unreadable("damaged (it has other than its pixels)")
    rows = np.frombuffer(raw, np.uint8).reshape(height, 1 + width * step)
    return _unfiltered(rows, step).view(">u2").reshape(height, width, step // 2).astype(np.uint16)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each chunk, up to the end. Raises ValueError: one is cut, or does not match its checksum."""
    place, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        (length,) = struct.unpack_from(">I", content, place)
        kind, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", content, place + 8 + length)
        if zlib.crc32(kind + body) != checksum:
            raise ValueError(f"checksum of {kind!r}")
        yield kind, body
        place += 12 + length


def _unfiltered(rows: np.ndarray, step: int) -> np.ndarray:
    """The bytes of all rows, [h, w · step]; ``step`` is the number of bytes of a pixel."""
    out = np.zeros((len(rows), rows.shape[1] - 1), np.uint8)
    above = np.zeros_like(out[0])
    for row, line in zip(rows, out, strict=True):
        kind, line[:] = row[0], row[1:]
        if kind == SUB:
            line[:] = np.add.accumulate(line.reshape(-1, step), axis=0, dtype=np.uint8).reshape(-1)
        elif kind == UP:
            line += above
        elif kind in (AVERAGE, PAETH):
            _from_neighbors(line.reshape(-1, step), above.reshape(-1, step), _PREDICTED[kind])
        elif kind != NONE:
            raise Unreadable(f"damaged (filter {kind})")
        above = line
    return out


def _from_neighbors(line: np.ndarray, above: np.ndarray, predicted: Callable[..., np.ndarray]) -> None:
    """Add to each pixel, from left to right, what its neighbors to the left, above, and above to the left predict."""
    left = corner = np.zeros_like(line[0])
    for pixel, over in zip(line, above, strict=True):
        pixel += predicted(left.astype(int), over.astype(int), corner.astype(int)).astype(np.uint8)
        left, corner = pixel, over


def _average(left: np.ndarray, over: np.ndarray, corner: np.ndarray) -> np.ndarray:
    return (left + over) // 2


def _paeth(left: np.ndarray, over: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """The neighbor that is nearest to left + over − corner; of equally near ones the first."""
    linear = left + over - corner
    near = np.abs(np.stack([linear - left, linear - over, linear - corner]))
    return np.choose(near.argmin(0), [left, over, corner])


_PREDICTED = {AVERAGE: _average, PAETH: _paeth}
