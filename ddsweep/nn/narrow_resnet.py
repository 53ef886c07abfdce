"""The narrow ResNets with batch norm of the code of IDC and DiM: a quarter to a half of the usual channels."""

from __future__ import annotations

import math

import torch
from torch import Generator, nn

from ddsweep.nn.layers import AveragePool, Body, norm_layers, scaled
from ddsweep.nn.resnet import BasicBlock, Downsample

# (channels of all blocks of a stage, factor by which the first block shrinks the maps)
STAGES = ((32, 1), (64, 2), (128, 2), (256, 2))


class NormalConv2d(nn.Conv2d):
    """A convolution whose weights are drawn from a normal distribution."""

    @torch.no_grad()
    def initialize(self, generator: Generator | None) -> None:
        """Draw the weights from N(0, 2 / (k·k·out)): k is the side of the kernel, out the number of its outputs."""
        spread = math.sqrt(2 / (self.kernel_size[0] * self.kernel_size[1] * self.out_channels))
        self.weight.copy_(torch.randn(self.weight.shape, generator=generator).mul_(spread))


def body(channels: int, size: int, width: int, *, depth: int, downsample: Downsample = "stride") -> Body:
    """Return a 3×3 stem without pooling, then four stages of (depth − 2) // 8 basic blocks, and average pooling.

    No convolution has a bias. With ``stride``, the pooling is over 4×4, and there are 256·⌊⌈size/8⌉/4⌋² features; with
    ``pool``, it is over whole maps, and there are 256.

    Args:
        channels: channels of the images.
        size: height and width of the images in pixels, at least 28 (``stride``) or 8 (``pool``).
        width: 128 as in the original code; every channel count is multiplied by width/128.
        depth: layers with weights, 10 or 18, without the shortcuts.
        downsample: how feature maps shrink, see ``resnet.BasicBlock``.
    """
    maps = scaled(STAGES[0][0], width)
    stem = NormalConv2d(channels, maps, 3, padding=1, bias=False)
    layers: list[nn.Module] = [stem, *norm_layers("batch", maps), nn.ReLU()]
    for reference, shrink in STAGES:
        for number in range((depth - 2) // 8):
            before, maps = maps, scaled(reference, width)
            shrinks = 1 if number else shrink
            layers.append(
                BasicBlock(before, maps, shrinks, downsample=downsample, norm="batch", convolution=NormalConv2d)
            )
    if downsample == "pool":
        return Body(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1)), maps)
    return Body(nn.Sequential(*layers, AveragePool(4)), maps * (math.ceil(size / 8) // 4) ** 2)
