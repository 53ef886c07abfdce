"""VGG-11 (Simonyan and Zisserman, 2015) with one linear layer, as in the code of DC, DSA and DM."""

from __future__ import annotations

from torch import nn

from ddsweep.nn.layers import Body, Norm, norm_layers, scaled

STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))


def body(channels: int, size: int, width: int, *, norm: Norm = "instance") -> Body:
    """Return eight 3×3 convolutions with bias, norm and ReLU, in five stages that each end in 2×2 max pooling.

    Args:
        channels: channels of the images.
        size: height and width of the images in pixels, at least 32; the features are 512·⌊size/32⌋².
        width: 128 as in the reference code; every channel count is multiplied by width/128.
        norm: the norm after each convolution.
    """
    layers: list[nn.Module] = []
    for stage in STAGES:
        for reference in stage:
            maps = scaled(reference, width)
            layers += [nn.Conv2d(channels, maps, 3, padding=1), *norm_layers(norm, maps), nn.ReLU()]
            channels = maps
        layers.append(nn.MaxPool2d(2))
    return Body(nn.Sequential(*layers), channels * (size // 2 ** len(STAGES)) ** 2)
