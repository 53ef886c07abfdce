"""The narrow ResNets of IDC and DiM: parameter counts, initialization, and the forward pass written out."""

import math

import pytest
import torch
from torch.nn import functional as F

from ddsweep import nn
from tests.nn.nets import count, seeded

NAMES = ["resnet10-narrow", "resnet18-narrow", "resnet10-narrow-ap", "resnet18-narrow-ap"]
STAGES = ((32, 1), (64, 2), (128, 2), (256, 2))


def expected_count(blocks: int, channels: int, classes: int) -> int:
    """Convolutions k·k·in·out without bias, batch norms 2·out, shortcuts where the channels or the size change."""
    total, before = 9 * channels * 32 + 2 * 32, 32
    for maps, stride in STAGES:
        for block in range(blocks):
            total += 9 * before * maps + 9 * maps * maps + 2 * (2 * maps)
            if block == 0 and (before != maps or stride == 2):
                total += before * maps + 2 * maps
            before = maps
    return total + 256 * classes + classes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("channels", "size", "classes"), [(3, 32, 10), (1, 28, 7), (3, 16, 100)])
def test_parameter_counts(name: str, channels: int, size: int, classes: int) -> None:
    net = nn.build(name, channels=channels, size=size, classes=classes, generator=seeded())
    assert count(net) == expected_count(1 if "10" in name else 2, channels, classes)
    assert net.embed(torch.zeros(2, channels, size, size)).shape == (2, 256)


def test_parameter_counts_of_the_closed_form() -> None:
    """By hand for ResNet-10: stem 928; stages 18560, 57728, 230144, 919040; classifier 2570."""
    assert expected_count(1, 3, 10) == 928 + 18560 + 57728 + 230144 + 919040 + 2570


@pytest.mark.parametrize("name", NAMES)
def test_convolutions_are_drawn_from_a_normal_distribution(name: str) -> None:
    net = nn.build(name, generator=seeded(3))
    generator, drawn = seeded(3), 0
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            out, _, k, _ = layer.weight.shape
            expected = torch.randn(layer.weight.shape, generator=generator) * math.sqrt(2 / (k * k * out))
            torch.testing.assert_close(layer.weight, expected)
            assert layer.bias is None
            drawn += 1
        elif isinstance(layer, torch.nn.BatchNorm2d):
            assert layer.weight.eq(1).all()
            assert layer.bias.eq(0).all()
    blocks = 1 if "10" in name else 2
    assert drawn == 1 + 4 * blocks * 2 + 3


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_forward_pass_layer_by_layer(name: str, training: bool) -> None:
    net = nn.build(name, width=16, classes=5, generator=seeded()).double()
    with torch.no_grad():
        for value in net.state_dict().values():
            if value.is_floating_point():
                value.copy_(0.5 + torch.rand(value.shape, generator=seeded(value.numel()), dtype=value.dtype))
                value.mul_(torch.randint(2, value.shape, generator=seeded(1)) * 2 - 1 if value.dim() == 4 else 1)
    images = torch.randn(3, 3, 32, 32, generator=seeded(2), dtype=torch.float64)
    expected = _forward(dict(net.state_dict()), images, 1 if "10" in name else 2, "ap" in name, training)
    torch.testing.assert_close(net.train(training)(images), expected, rtol=1e-9, atol=1e-9)


def _forward(
    state: dict[str, torch.Tensor], images: torch.Tensor, blocks: int, ap: bool, training: bool
) -> torch.Tensor:
    """The network from its weights in the order of their registration."""
    values = iter([value for name, value in state.items() if not name.endswith("num_batches_tracked")])

    def norm(x: torch.Tensor) -> torch.Tensor:
        gain, shift, mean, variance = (next(values)[:, None, None] for _ in range(4))
        if training:
            mean = x.mean((0, 2, 3))[:, None, None]
            variance = x.var((0, 2, 3), correction=0)[:, None, None]
        return gain * (x - mean) / (variance + 1e-5).sqrt() + shift

    def pooled(x: torch.Tensor) -> torch.Tensor:
        return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4

    x = norm(F.conv2d(images, next(values), padding=1)).clamp(min=0)
    for stage, (maps, stride) in enumerate(STAGES):
        for block in range(blocks):
            shrink = stride if block == 0 else 1
            step, pools = (1, shrink == 2) if ap else (shrink, False)
            y = norm(F.conv2d(x, next(values), stride=step, padding=1)).clamp(min=0)
            y = norm(F.conv2d(pooled(y) if pools else y, next(values), padding=1))
            if block == 0 and stage > 0:
                z = F.conv2d(x, next(values), stride=step)
                x = norm(pooled(z) if pools else z)
            assert x.shape[1] == maps // 8
            x = (y + x).clamp(min=0)
    return x.mean((2, 3)) @ next(values).T + next(values)
