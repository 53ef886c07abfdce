"""IDC's multi-formation: one stored image holds factor² images in cells, which are enlarged to its own size."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

PADDING = 0.5  # mid-grey, in units of [0, 1]


def decoded(images: Float[Tensor, "n c h w"], factor: int) -> Float[Tensor, "m c h w"]:
    """All cells, row by row: first the first cell of every image, then the second of every image, …

    Args:
        images: square, in [0, 1]; a size that ``factor`` does not divide is padded at the right and the bottom.
        factor: cells along each side.
    """
    size = images.shape[-1]
    cell = -(-size // factor)
    missing = cell * factor - size
    padded = functional.pad(images, (0, missing, 0, missing), value=PADDING)
    cells = [
        padded[:, :, row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        for row in range(factor)
        for column in range(factor)
    ]
    return functional.interpolate(torch.cat(cells), size=(size, size), mode="bilinear", align_corners=False)
