"""The elastic corruption (``corruptions``)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage  # type: ignore[import-untyped]

from ddsweep.data.bias.draws import Draws

ELASTIC = ((0.0, 0.0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03))
"""Of each level: how far pixels move, the blur of their movements, and how far the corners move, in image sizes."""


def elastic(image: np.ndarray, level: int, draws: Draws) -> np.ndarray:
    """An affine map through three moved points, and then blurred random movements of the pixels; both are linearly
    interpolated."""
    x, size = image / 255, len(image)
    scale, blur, jitter = (size * value for value in ELASTIC[level - 1])
    center, arm = size // 2, size // 3
    points = np.array([[center + arm, center + arm], [center + arm, center - arm], [center - arm, center - arm]])
    moved = points + draws.uniform(-jitter, jitter, points.shape)
    y_there, x_there = _mapped(points, moved, size)
    x = _sampled(x, y_there, x_there, "mirror")
    right, down = (
        scale * ndimage.gaussian_filter(draws.uniform(-1, 1, (size, size)), blur, mode="reflect", truncate=3)
        for _ in range(2)
    )
    rows, columns = np.mgrid[:size, :size]
    return np.clip(_sampled(x, rows + down, columns + right, "reflect"), 0, 1) * 255


def _mapped(points: np.ndarray, moved: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel (y, x) comes from under the affine map that takes the points (x, y) to the moved ones."""
    back = np.linalg.solve(np.column_stack([moved, np.ones(3)]), points)  # [x' y' 1] · back = [x y]
    rows, columns = np.mgrid[:size, :size]
    there = np.stack([columns, rows, np.ones_like(rows)], -1) @ back
    return there[..., 1], there[..., 0]


def _sampled(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, border: str) -> np.ndarray:
    """``x`` at fractional places, channel by channel."""
    where = np.stack([rows, columns])
    return np.stack([ndimage.map_coordinates(one, where, order=1, mode=border) for one in x.transpose(2, 0, 1)], -1)
