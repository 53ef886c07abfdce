"""CutMix: a box of every image is replaced by that of another, and the labels mix by area.

Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features" (ICCV 2019), as the
code of IDC and DREAM uses it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep.rng import copy_to

PROBABILITY = 0.5  # that a batch is mixed


@dataclass(frozen=True, eq=False)
class Cut:
    """The box of a batch, and the image that each image gets its pixels from.

    Attributes:
        order: a permutation of the batch, on the CPU.
        top, bottom: the rows top … bottom - 1; the same number if the box is empty.
        left, right: the columns left … right - 1.
    """

    order: Int64[Tensor, " n"]
    top: int
    bottom: int
    left: int
    right: int


def draw(generator: torch.Generator, n: int, size: int, probability: float = PROBABILITY) -> Cut | None:
    """Draw the box of a batch; None: the batch stays as it is.

    With λ ~ Beta(1, 1), the side of the box is h = int(size·√(1 - λ)) and its center is one of the pixels, uniformly.
    It reaches from center - h//2 to center + h//2 (one pixel less than h if h is odd), as far as the image does.

    Args:
        generator: draws whether to mix, then λ, the center (row, column) and the permutation.
        n: images in the batch.
        size: height and width of the images in pixels.
        probability: that the batch is mixed.
    """
    if float(torch.rand((), generator=generator)) >= probability:
        return None
    mix = float(torch.rand((), generator=generator, dtype=torch.float64))  # λ: Beta(1, 1) is uniform
    half = int(size * math.sqrt(1 - mix)) // 2
    row, column = torch.randint(size, (2,), generator=generator).tolist()
    order = torch.randperm(n, generator=generator)
    (top, bottom), (left, right) = ((max(0, at - half), min(size, at + half)) for at in (row, column))
    return Cut(order, top, bottom, left, right)


def apply(
    images: Float[Tensor, "n c h w"], labels: Int64[Tensor, " n"], classes: int, cut: Cut | None
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n classes"]]:
    """Return the mixed images, and the weight of every class for each of them.

    Image i keeps its pixels outside of the box and gets those of image ``cut.order[i]`` inside. With r the share of the
    image that it keeps, its weights are r for its own class plus 1 - r for the other's, so that their cross-entropy is
    r·CE(y) + (1 - r)·CE(y of the other).

    Args:
        images: a batch.
        labels: its labels.
        classes: number of classes.
        cut: from ``draw``; None: the images stay as they are.
    """
    own = one_hot(labels, classes, images.dtype)
    if cut is None:
        return images, own
    order = copy_to(cut.order, images.device)
    box = (slice(cut.top, cut.bottom), slice(cut.left, cut.right))
    mixed = images.clone()
    mixed[:, :, *box] = images[:, :, *box][order]
    kept = 1 - (cut.bottom - cut.top) * (cut.right - cut.left) / (images.shape[2] * images.shape[3])
    return mixed, kept * own + (1 - kept) * own[order]


def one_hot(labels: Int64[Tensor, " n"], classes: int, dtype: torch.dtype) -> Float[Tensor, "n classes"]:
    """Return weight 1 for the class of each label (``F.one_hot`` waits for the device to check the labels)."""
    return (labels[:, None] == torch.arange(classes, device=labels.device)).to(dtype)
