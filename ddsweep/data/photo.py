"""One image file as pixels."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np

DRAFT = 4  # a JPEG is decoded at no less than this times the size wanted, then resized


class Unreadable(Exception):
    """A file that is no 8-bit image; the message is the reason, in one line."""


def read(file: Path | IO[bytes], size: int) -> np.ndarray:
    """The image as [3, size, size] uint8: RGB, resized without keeping the aspect ratio.

    Pillow's bilinear filter, which antialiases.

    Raises:
        Unreadable: it cannot be read, or has more than 8 bits a channel.
    """
    from PIL import Image

    try:
        with Image.open(file) as image:
            image.draft(None, (DRAFT * size, DRAFT * size))
            if image.mode[0] in "IF":  # converting would clip at 255
                raise ValueError(f"{image.mode} pixels; convert it to 8 bits a channel")
            rgb = image if image.mode == "RGB" else image.convert("RGB")
            return np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    except Exception as error:  # a damaged file can raise almost anything inside Pillow
        raise Unreadable(reason(error)) from error


def reason(error: Exception) -> str:
    """An error in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return " ".join(text.split())
