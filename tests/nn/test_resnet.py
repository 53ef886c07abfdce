from collections import OrderedDict

import pytest
import torch
from torch import nn as layers
from torch.nn.functional import conv2d

from ddsweep.nn.resnet import BasicBlock
from tests.nn.nets import seeded, small


@pytest.mark.parametrize("downsample", ["stride", "pool"])
@pytest.mark.parametrize(("channels", "maps", "shrink"), [(4, 6, 2), (4, 6, 1), (4, 4, 2), (4, 4, 1)])
def test_a_residual_block_equals_the_formula(downsample, channels, maps, shrink):
    def norm(x, gain, shift):
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, correction=0)
        return gain[:, None, None] * (x - mean) / (variance + 1e-5).sqrt() + shift[:, None, None]

    def pooled(x):
        return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4

    block = BasicBlock(channels, maps, shrink, downsample=downsample, norm="instance").double()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=seeded(2), dtype=torch.float64))
    w1, gain1, shift1, w2, gain2, shift2, *shortcut = block.parameters()
    x = torch.randn(2, channels, 8, 8, generator=seeded(1), dtype=torch.float64)
    pools, stride = (shrink == 2 and downsample == "pool"), shrink if downsample == "stride" else 1
    y = norm(conv2d(x, w1, stride=stride, padding=1), gain1, shift1).clamp(min=0)
    y = norm(conv2d(pooled(y) if pools else y, w2, padding=1), gain2, shift2)
    z = x
    if (channels, shrink) != (maps, 1):
        w, gain, shift = shortcut
        z = conv2d(x, w, stride=stride)
        z = norm(pooled(z) if pools else z, gain, shift)
    torch.testing.assert_close(block(x), (y + z).clamp(min=0), rtol=1e-10, atol=1e-10)


def test_a_residual_block_registers_the_shortcut_last():
    block = list(small("resnet18").layers.children())[5]  # stem: 0 to 2, stage one: 3 and 4
    assert [tuple(p.shape[1:]) for p in block.parameters() if p.dim() == 4] == [(8, 3, 3), (16, 3, 3), (8, 1, 1)]
    assert len(list(block.parameters())) == 9


def test_average_pooling_downsamples_where_the_reference_does():
    block = list(small("resnet18-ap").layers.children())[5]
    assert isinstance(block, BasicBlock)
    assert [type(layer).__name__ for layer in block.residual] == [
        *("Conv2d", "GroupNorm", "ReLU", "AveragePool"),
        *("Conv2d", "GroupNorm"),
    ]
    assert [type(layer).__name__ for layer in block.shortcut] == ["Conv2d", "AveragePool", "GroupNorm"]
    assert {layer.stride for layer in block.modules() if isinstance(layer, layers.Conv2d)} == {(1, 1)}


def test_resnet_runs_28_pixels_as_they_are():
    net = small("resnet18", size=28)
    sides: list[int] = []
    for layer in net.layers.children():
        layer.register_forward_hook(lambda _, __, maps: sides.append(maps.shape[-1]))
    net(torch.zeros(1, 3, 28, 28))
    assert list(OrderedDict.fromkeys(sides)) == [28, 14, 7, 4, 1]
