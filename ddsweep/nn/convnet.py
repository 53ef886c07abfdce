"""ConvNet-D, the standard network of dataset distillation (Zhao et al., "Dataset Condensation", ICLR 2021)."""

from __future__ import annotations

from torch import nn

from ddsweep.nn.layers import AveragePool, Body, Norm, norm_layers


def body(channels: int, size: int, width: int, *, depth: int, norm: Norm = "instance") -> Body:
    """Return ``depth`` blocks: 3×3 convolution to ``width`` channels with bias, norm, ReLU, 2×2 average pooling.

    Args:
        channels: channels of the images.
        size: height and width of the images in pixels, at least 2^depth.
        width: channels of each block; 128 in the papers.
        depth: D, the number of blocks; the features are width·⌊size/2^D⌋².
        norm: the norm after each convolution.
    """
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(channels, width, 3, padding=1), *norm_layers(norm, width), nn.ReLU(), AveragePool(2)]
        channels = width
    return Body(nn.Sequential(*layers), width * (size // 2**depth) ** 2)
