"""VGG-11 (Simonyan and Zisserman, 2015) with one linear layer, as in the code of DC, DSA and DM."""

from __future__ import annotations

from torch import nn

from ddsweep.nn.layers import Body, Norm, norm_layers, scaled

STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))


def body(channels: int, size: int, width: int, *, norm: Norm = "instance") -> Body:
    """Eight 3×3 convolutions with bias, norm and ReLU, in five stages that each end in 2×2 max pooling.

    Args:
        channels: of the images.
        size: their height and width in pixels, at least 32; the features are 512·⌊size/32⌋².
        width: 128 for the reference; every channel count is multiplied by width/128.
        norm: which norm follows a convolution.
    """
    layers: list[nn.Module] = []
    for stage in STAGES:
        for reference in stage:
            maps = scaled(reference, width)
            layers += [nn.Conv2d(channels, maps, 3, padding=1), *norm_layers(norm, maps), nn.ReLU()]
            channels = maps
        layers.append(nn.MaxPool2d(2))
    return Body(nn.Sequential(*layers), channels * (size // 2 ** len(STAGES)) ** 2)
