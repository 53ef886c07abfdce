"""Snow, frost and fog (``corruptions``)."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import ndimage  # type: ignore[import-untyped]

from ddsweep.data.bias.draws import Draws

GRAY = np.array([0.299, 0.587, 0.114])
FROST = ((1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))
FOG = ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75))
TEXTURES, TEXTURE_SIZE, TEXTURE_DECAY = 5, 128, 1.7
ICE = np.array([0.86, 0.95, 1.0])  # color of a generated texture of frost
START, STEEPEST = 100.0, (-135.0, -45.0)  # the first amplitude of a fractal; angles of falling snow in degrees


class Snow(NamedTuple):
    """The numbers of a level: of the flakes N(mean, sd²), zoom and threshold; of their blur; of the fading image."""

    mean: float
    sd: float
    zoom: float
    threshold: float
    radius: int
    sigma: float
    mix: float


SNOW = (
    Snow(0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.95), Snow(0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.9),
    Snow(0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.9), Snow(0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.85),
    Snow(0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.8),
)  # fmt: skip


def snow(image: np.ndarray, level: int, draws: Draws) -> np.ndarray:
    """mix·x + (1 − mix)·max(x, 1.5·gray(x) + 0.5), plus the blurred flakes and the same turned by 180°, in [0, 1]."""
    x, c = image / 255, SNOW[level - 1]
    flakes = zoomed(draws.normal(c.mean, c.sd, image.shape[:2]), c.zoom)
    flakes[flakes < c.threshold] = 0
    flakes = np.floor(flakes.clip(0, 1) * 255)
    flakes = np.round(streaked(flakes, c.radius, c.sigma, float(draws.uniform(*STEEPEST))))[..., None] / 255
    faded = c.mix * x + (1 - c.mix) * np.maximum(x, (x @ GRAY)[..., None] * 1.5 + 0.5)
    return np.clip(faded + flakes + flakes[::-1, ::-1], 0, 1) * 255


def zoomed(layer: np.ndarray, factor: float) -> np.ndarray:
    """The center of a square layer, enlarged by ``factor`` with linear interpolation, trimmed to the layer's size."""
    size = len(layer)
    part = math.ceil(size / factor)
    top = (size - part) // 2
    large = ndimage.zoom(layer[top : top + part, top : top + part], factor, order=1)
    trim = (len(large) - size) // 2
    return large[trim : trim + size, trim : trim + size]


def streaked(layer: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """Motion blur as ImageMagick's: the mean of 2·radius + 1 pixels along a ray, with the weights of half a Gaussian.

    The i-th pixel is i steps away at ``angle`` (degrees; x to the right, y down), rounded to whole pixels; the border
    is repeated. Equal to ImageMagick's up to the rounding of its 8- or 16-bit pixels.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights /= weights.sum()
    turn = math.radians(angle)
    right, down = (np.ceil(steps * part - 0.5).astype(int) for part in (math.cos(turn), math.sin(turn)))
    rows, columns = (np.arange(length) for length in layer.shape)
    total = np.zeros(layer.shape)
    for weight, dx, dy in zip(weights, right, down, strict=True):
        below = (rows + dy).clip(0, len(rows) - 1)
        total += weight * layer[below[:, None], (columns + dx).clip(0, len(columns) - 1)]
    return total


def frost(image: np.ndarray, level: int, draws: Draws) -> np.ndarray:
    """a·x + b·(a random part of a texture), in 0 … 255.

    ImageNet-C's five textures are photographs in no repository of the papers; these are generated.
    """
    own, ice = FROST[level - 1]
    texture = textures()[draws.below(TEXTURES)]
    height, width = image.shape[:2]
    top, left = draws.below(TEXTURE_SIZE - height), draws.below(TEXTURE_SIZE - width)
    return np.clip(own * image + ice * texture[top : top + height, left : left + width], 0, 255)


@cache
def textures() -> tuple[np.ndarray, ...]:
    """Five textures [128, 128, 3] in 0 … 255: bright ridges (1 − |2f − 1|)² of a fractal f on bluish ground."""
    return tuple(_texture(Draws(0, "frost", number)) for number in range(TEXTURES))


def _texture(draws: Draws) -> np.ndarray:
    ridges = (1 - np.abs(2 * plasma(TEXTURE_SIZE, TEXTURE_DECAY, draws) - 1)) ** 2
    return 255 * (0.3 + 0.7 * ridges)[..., None] * ICE


def fog(image: np.ndarray, level: int, draws: Draws) -> np.ndarray:
    """(x + a·f)·max(x) / (max(x) + a), in [0, 1], with a fractal f of the size of the image."""
    x, (amount, decay) = image / 255, FOG[level - 1]
    fractal = plasma(len(image), decay, draws)[..., None]
    return np.clip((x + amount * fractal) * x.max() / (x.max() + amount), 0, 1) * 255


def plasma(size: int, decay: float, draws: Draws) -> np.ndarray:
    """The diamond-square fractal on a torus of ``size`` (a power of two) pixels, shifted and scaled to [0, 1].

    From one corner of value 0, the step is halved again and again: the center of each square gets the mean of its
    corners, then the center of each edge gets the mean of its four neighbors, both plus w·U(−w, w). The amplitude w is
    100 at first, and divided by ``decay`` after each round.
    """
    field, step, amplitude = np.zeros((size, size)), size, START
    while step >= 2:
        half = step // 2
        corners = field[::step, ::step]
        edge = corners + np.roll(corners, -1, 0)
        field[half::step, half::step] = _wobbled(edge + np.roll(edge, -1, 1), amplitude, draws)
        centers = field[half::step, half::step]
        beside = corners + np.roll(corners, -1, 1) + centers + np.roll(centers, 1, 0)
        field[::step, half::step] = _wobbled(beside, amplitude, draws)
        above = corners + np.roll(corners, -1, 0) + centers + np.roll(centers, 1, 1)
        field[half::step, ::step] = _wobbled(above, amplitude, draws)
        step, amplitude = half, amplitude / decay
    field -= field.min()
    return field / field.max()


def _wobbled(sums: np.ndarray, amplitude: float, draws: Draws) -> np.ndarray:
    return sums / 4 + amplitude * draws.uniform(-amplitude, amplitude, sums.shape)
