"""The ten corruptions of CCIFAR-10, at the levels 1 … 5 of CIFAR-10-C (Hendrycks and Dietterich, 2019).

A corruption maps an image [32, 32, 3] of bytes to floats in 0 … 255, which are cut to bytes. The numbers are those of
Biased-DD's protocol (protocols-appendix, section 8), whose severities 1 … 4 are the levels 2 … 5. Where a formula works
on [0, 1], x is the image divided by 255.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np

from ddsweep.data.bias.draws import Draws
from ddsweep.data.bias.elastic import elastic
from ddsweep.data.bias.spatter import spatter
from ddsweep.data.bias.weather import fog, frost, snow

SIZE = 32
BRIGHTNESS = (0.05, 0.1, 0.15, 0.2, 0.3)
CONTRAST = (0.75, 0.5, 0.4, 0.3, 0.15)
JPEG_QUALITY = (80, 65, 58, 50, 40)
PIXELATE = (0.95, 0.9, 0.85, 0.75, 0.65)
SATURATE = ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2))

Corruption = Callable[[np.ndarray, int, Draws], np.ndarray]


def corrupted(image: np.ndarray, attribute: int, level: int, draws: Draws) -> np.ndarray:
    """Return an image [32, 32, 3] of bytes with the corruption of its attribute, at a level of 1 … 5, cut to bytes."""
    return CORRUPTIONS[attribute](image, level, draws).astype(np.uint8)


def brightness(image: np.ndarray, level: int, draws: Draws) -> np.ndarray:
    """HSV with V + c, at most 1. Hue and saturation stay, so a color is multiplied by V' / V; black becomes gray."""
    x = image / 255
    value = x.max(2, keepdims=True)
    brighter = np.minimum(value + BRIGHTNESS[level - 1], 1)
    return np.where(value > 0, x / np.where(value > 0, value, 1), 1) * brighter * 255


def contrast(image: np.ndarray, level: int, draws: Draws) -> np.ndarray:
    """(x − m)·c + m with the mean m of each channel, in [0, 1]."""
    x = image / 255
    mean = x.mean((0, 1))
    return np.clip((x - mean) * CONTRAST[level - 1] + mean, 0, 1) * 255


def saturate(image: np.ndarray, level: int, draws: Draws) -> np.ndarray:
    """HSV with S·a + b, in [0, 1]: V − (V − x)·S' / S. A gray pixel has S = 0 and the hue of red."""
    x = image / 255
    factor, offset = SATURATE[level - 1]
    value = x.max(2, keepdims=True)
    below = (value - x) / np.where(value > 0, value, 1)
    saturation = below.max(2, keepdims=True)
    red = np.where(value > 0, np.array([0.0, 1.0, 1.0]), 0)
    share = np.where(saturation > 0, below / np.where(saturation > 0, saturation, 1), red)
    return value * (1 - share * np.clip(saturation * factor + offset, 0, 1)) * 255


def jpeg(image: np.ndarray, level: int, draws: Draws) -> np.ndarray:
    """Saved and read as a JPEG of a low quality, by Pillow."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY[level - 1])
    with Image.open(file) as again:
        return np.asarray(again, np.float64)


def pixelate(image: np.ndarray, level: int, draws: Draws) -> np.ndarray:
    """Shrunk to int(32·c) pixels and enlarged again, by the means of boxes (Pillow's box filter)."""
    from PIL import Image

    small = int(SIZE * PIXELATE[level - 1])
    box = Image.Resampling.BOX
    return np.asarray(Image.fromarray(image).resize((small, small), box).resize((SIZE, SIZE), box), np.float64)


CORRUPTIONS: tuple[Corruption, ...] = (
    snow, frost, fog, brightness, contrast, spatter, elastic, jpeg, pixelate, saturate,
)  # fmt: skip
"""By attribute: class y is aligned with corruption y."""
