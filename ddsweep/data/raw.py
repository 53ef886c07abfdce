"""What every decoder returns."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Int64, UInt8
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Raw:
    """A dataset as decoded: pixels in 0…255 on the CPU, in dataset order.

    Attributes:
        classes: names in label order.
        images: training images.
        labels: of the training images.
        test_images: likewise.
        test_labels: likewise.
    """

    classes: tuple[str, ...]
    images: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    test_images: UInt8[Tensor, "m c h w"]
    test_labels: Int64[Tensor, " m"]
