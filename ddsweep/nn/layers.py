"""What the families share: the norm, the width, and the shape of what they return."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import nn

Norm = Literal["none", "instance", "batch"]

REFERENCE_WIDTH = 128


class Body(NamedTuple):
    """A network without its classifier.

    Attributes:
        layers: images [n, c, h, w] to feature maps.
        features: how many numbers the feature maps of one image hold.
    """

    layers: nn.Module
    features: int


def scaled(channels: int, width: int) -> int:
    """``channels``·``width``/128, at least 1: the channel count of a network that is ``width``/128 as wide."""
    return max(1, round(channels * width / REFERENCE_WIDTH))


def norm_layers(norm: Norm, channels: int) -> list[nn.Module]:
    """The layers, at most one, that normalize ``channels`` feature maps.

    "Instance norm" is GroupNorm with one channel a group and affine parameters, as in the code of DC, DSA and DM: it
    keeps no running statistics, so training and evaluation agree.
    """
    match norm:
        case "none":
            return []
        case "instance":
            return [nn.GroupNorm(channels, channels)]
        case "batch":
            return [nn.BatchNorm2d(channels)]
