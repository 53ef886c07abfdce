"""The spatter corruption (``corruptions``): drops of water at low levels, mud at high ones.

The outlines of the water come from OpenCV's edge detector, distance transform and equalization, which nothing else
here has; mud needs SciPy only.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import numpy as np
from scipy import ndimage  # type: ignore[import-untyped]

from ddsweep.data.bias.draws import Draws
from ddsweep.errors import UserError

WATER, MUD = np.array([175, 238, 238]) / 255, np.array([63, 42, 20]) / 255
EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
FARTHEST = 20  # pixels from an outline
SOLID = 0.8  # mud that is thinner is left out


class Spatter(NamedTuple):
    """The numbers of a level: of the liquid N(mean, sd²), its blur and threshold; strength of water, or blur of mud."""

    mean: float
    sd: float
    blur: float
    threshold: float
    strength: float
    mud: bool


SPATTER = (
    Spatter(0.62, 0.1, 0.7, 0.7, 0.5, False), Spatter(0.65, 0.1, 0.8, 0.7, 0.5, False),
    Spatter(0.65, 0.3, 1.0, 0.69, 0.5, False), Spatter(0.65, 0.1, 0.7, 0.69, 0.6, True),
    Spatter(0.65, 0.1, 0.5, 0.68, 0.6, True),
)  # fmt: skip


def spatter(image: np.ndarray, level: int, draws: Draws) -> np.ndarray:
    """x + m·(the color of water), or x·(1 − m) + m·(that of mud), in [0, 1], with a map m of the drops."""
    x, c = image / 255, SPATTER[level - 1]
    liquid = _blurred(draws.normal(c.mean, c.sd, image.shape[:2]), c.blur)
    liquid[liquid < c.threshold] = 0
    if c.mud:
        drops = mud((liquid > c.threshold).astype(np.float64), c.strength)[..., None]
        return np.clip(x * (1 - drops) + drops * MUD, 0, 1) * 255
    return np.clip(x + water(liquid, c.strength)[..., None] * WATER, 0, 1) * 255


def mud(drops: np.ndarray, blur: float) -> np.ndarray:
    """Blurred drops, without their thin edges."""
    soft = _blurred(drops, blur)
    return np.where(soft < SOLID, 0, soft)


def water(liquid: np.ndarray, strength: float) -> np.ndarray:
    """liquid · (an embossed map of the distance from its outlines), scaled to the maximum ``strength``."""
    cv2 = opencv()
    pixels = np.floor(liquid.clip(0, 1) * 255).astype(np.uint8)
    far = cv2.distanceTransform(255 - cv2.Canny(pixels, 50, 150), cv2.DIST_L2, 5)
    far = cv2.blur(np.minimum(far, FARTHEST), (3, 3)).astype(np.uint8)
    far = cv2.filter2D(cv2.equalizeHist(far), cv2.CV_8U, EMBOSS.astype(np.float32))
    drops = pixels * cv2.blur(far, (3, 3)).astype(np.float64)
    return drops / max(drops.max(), 1) * strength


def opencv() -> ModuleType:
    """Return OpenCV.

    Raises:
        UserError: it is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise UserError("ccifar10: needs OpenCV for drops of water: pip install 'ddsweep[corruptions]'") from None
    return cv2


def _blurred(layer: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur; the border is repeated."""
    return ndimage.gaussian_filter(layer, sigma, mode="nearest", truncate=4)
