"""Parts that the network families share: norm layers, the scaling of widths, and ``Body``."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import nn

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
