"""Parts that the network families share: norm layers, average pooling, the scaling of widths, and ``Body``."""

from __future__ import annotations

from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

Norm = Literal["none", "instance", "batch"]

REFERENCE_WIDTH = 128


class Body(NamedTuple):
    """A network without its classifier.

    Attributes:
        layers: maps images [n, c, h, w] to feature maps.
        features: numbers in the feature maps of one image, the input size of the classifier.
        head: a classifier of its own; None: a linear one is appended.
    """

    layers: nn.Module
    features: int
    head: nn.Module | None = None


def scaled(channels: int, width: int) -> int:
    """Return ``channels``·``width``/128, rounded and at least 1: the channels of a network of another width."""
    return max(1, round(channels * width / REFERENCE_WIDTH))


def norm_layers(norm: Norm, channels: int) -> list[nn.Module]:
    """Return the layers (none or one) that normalize ``channels`` feature maps.

    Instance norm is GroupNorm with one channel a group and affine parameters, as in the code of DC, DSA and DM: it
    keeps no running statistics, so training and evaluation agree.
    """
    match norm:
        case "none":
            return []
        case "instance":
            return [nn.GroupNorm(channels, channels)]
        case "batch":
            return [nn.BatchNorm2d(channels)]


class AveragePool(nn.AvgPool2d):
    """``nn.AvgPool2d(side)``: the mean of each ``side`` × ``side`` square; what is left at the right and below is cut.

    On a CPU, squares of 2×2 are pooled as sums of views: the rows of each pair, then the columns. The library's kernel
    computes one output after the other; on 32 × 128 feature maps of 16×16 (one thread, AVX-512), the sums took 0.9 ms
    forward instead of 3.4, 2.6 ms backward instead of 4.3, and 2.6 instead of 7.0 with the gradient of the gradient.
    The result differs by rounding. Larger squares and channels_last, where the library is faster, are left to it.
    """

    def __init__(self, side: int) -> None:
        super().__init__(side)
        self.side = side

    def forward(self, x: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h_out w_out"]:
        """Return feature maps of height ⌊h / side⌋ and width ⌊w / side⌋.

        Raises:
            RuntimeError: the feature maps are smaller than a square.
        """
        height, width = x.shape[-2] // 2, x.shape[-1] // 2
        if self.side != 2 or x.device.type != "cpu" or not height or not width or not x.is_contiguous():
            return super().forward(x)
        upper, lower = x[..., : 2 * height, : 2 * width].unflatten(-2, (height, 2)).unbind(-2)
        left, right = (upper + lower).unflatten(-1, (width, 2)).unbind(-1)
        return (left + right) * 0.25
