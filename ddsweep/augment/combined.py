"""The augmentation of IDC and DREAM: several operations of a strategy, one after the other.

Kim et al., "Dataset condensation via efficient synthetic-data parameterization" (ICML 2022), in the authors' code. The
operations and their ranges are those of DSA (``siamese``), which applies one of them at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep.augment import siamese
from ddsweep.augment.siamese import Params

# in this order; of the operations of one group, a call draws one
GROUPS = (("flip",), ("color",), ("crop", "scale", "rotate"), ("cutout",))


def draw(generator: torch.Generator, n: int, size: int, strategy: str, shared: bool) -> list[Params]:
    """Draw the operations of a strategy in the order in which they are applied, with their parameters.

    First flip, then color, then one of crop, scale and rotate (of those in the strategy, each with the same
    probability), and last cutout, as far as the strategy has them.

    Args:
        generator: draws operations and parameters.
        n: number of images in the batch.
        size: height and width of the images in pixels.
        strategy: operations joined by ``_``, or ``none``.
        shared: one set of parameters for all images (in distillation) or one per image (in training).

    Raises:
        UserError: unknown operation.
    """
    chosen = siamese.operations(strategy)
    steps = ["_".join(name for name in chosen if name in group) for group in GROUPS]
    return [siamese.draw(generator, n, size, step, shared) for step in steps if step]


def apply(images: Float[Tensor, "n c h w"], changes: Sequence[Params]) -> Float[Tensor, "n c h w"]:
    """Apply the operations from ``draw``; gradients flow to ``images``."""
    for change in changes:
        images = siamese.apply(images, change)
    return images


def independent(
    images: Float[Tensor, "n c h w"], strategy: str, generator: torch.Generator
) -> Float[Tensor, "n c h w"]:
    """Apply a strategy to a batch, with separate parameters for every image, as in training."""
    return apply(images, draw(generator, len(images), images.shape[-1], strategy, shared=False))
