"""AlexNet for small images, as in the code of DC, DSA and DM."""

from __future__ import annotations

from torch import nn

from ddsweep.nn.layers import Body, Norm, norm_layers, scaled

# (output channels, kernel, followed by 2×2 max pooling)
CONVOLUTIONS = ((128, 5, True), (192, 5, True), (256, 3, False), (192, 3, False), (192, 3, True))


def body(channels: int, size: int, width: int, *, norm: Norm = "none") -> Body:
    """Return five convolutions with bias, each followed by ReLU, three also by 2×2 max pooling; no norm by default.

    Args:
        channels: channels of the images.
        size: height and width of the images in pixels, at least 8; the features are 192·⌊size/8⌋².
        width: 128 as in the reference code; every channel count is multiplied by width/128.
        norm: the norm after each convolution.
    """
    layers: list[nn.Module] = []
    for reference, kernel, pooled in CONVOLUTIONS:
        maps = scaled(reference, width)
        layers += [nn.Conv2d(channels, maps, kernel, padding=kernel // 2), *norm_layers(norm, maps), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pooled else []
        channels = maps
    return Body(nn.Sequential(*layers), channels * (size // 8) ** 2)
