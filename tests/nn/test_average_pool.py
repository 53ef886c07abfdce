"""Average pooling is that of torch: values, first and second derivatives, in every network."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import grad, vmap
from torch.nn import functional as F

from ddsweep import nn as networks
from ddsweep.nn.layers import AveragePool
from tests.nn.nets import seeded, small

SHAPES = ((2, 3, 8, 8), (1, 1, 2, 2), (2, 3, 5, 7), (2, 2, 3, 2), (3, 4, 9), (1, 2, 8, 12))
UNPOOLED = ("alexnet", "vgg11")  # pool maxima
POOLED = [name for name in networks.names() if not name.startswith(UNPOOLED)]


def maps(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=seeded(), dtype=torch.float64).to(dtype)


def derivatives(pool: nn.Module, x: Tensor) -> list[Tensor]:
    """The pooled maps y, the gradient of Σ w·y³ with weights w, and the gradient of the square of that gradient."""
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = pool(x)
    weights = torch.arange(1.0, y.numel() + 1, dtype=y.dtype).view_as(y)
    (first,) = torch.autograd.grad((weights * y**3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    return [y.detach(), first.detach(), second]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("side", [1, 2, 3, 4])
@pytest.mark.parametrize("form", ["contiguous", "channels_last", "part"])
def test_values_and_derivatives_are_those_of_torch(shape: tuple[int, ...], side: int, form: str) -> None:
    x = maps(*shape)
    if form == "channels_last" and x.dim() == 4:
        x = x.to(memory_format=torch.channels_last)
    elif form == "part":
        x = maps(*shape[:-1], shape[-1] + 3)[..., 1:-2]
    if min(shape[-2:]) < side:
        for pool in (AveragePool(side), nn.AvgPool2d(side)):
            with pytest.raises(RuntimeError, match="too small"):
                pool(x)
        return
    for ours, theirs in zip(derivatives(AveragePool(side), x), derivatives(nn.AvgPool2d(side), x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape


@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float32, 2.0**-23), (torch.bfloat16, 2.0**-7)])
def test_the_error_is_rounding(dtype: torch.dtype, rounding: float) -> None:
    """Two sums and an exact division: at most one rounding each, relative to the largest of the four."""
    x = maps(4, 3, 16, 16, dtype=dtype)
    exact = F.avg_pool2d(x.double(), 2)
    largest = F.max_pool2d(x.double().abs(), 2)
    pooled = AveragePool(2)(x)
    assert pooled.dtype == dtype
    assert bool(((pooled.double() - exact).abs() <= rounding * largest).all())


def test_pooled_maps_have_their_own_memory() -> None:
    """A later operation may overwrite them in place."""
    x = maps(1, 2, 4, 4)
    kept = x.clone()
    AveragePool(2)(x).zero_()
    assert torch.equal(x, kept)


def test_of_several_networks_at_once() -> None:
    x = maps(3, 2, 2, 6, 7)
    together = vmap(AveragePool(2))(x)
    torch.testing.assert_close(together, torch.stack([F.avg_pool2d(one, 2) for one in x]), rtol=1e-13, atol=1e-13)

    def bent(pool: nn.Module, part: Tensor) -> Tensor:
        return grad(lambda y: grad(lambda z: (pool(z) ** 3).sum())(y).square().sum())(part)

    ours, theirs = (torch.stack([bent(pool, one) for one in x]) for pool in (AveragePool(2), nn.AvgPool2d(2)))
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(vmap(lambda one: bent(AveragePool(2), one))(x), theirs, rtol=1e-13, atol=1e-13)


def with_the_pool_of_torch(net: nn.Module) -> nn.Module:
    net, replaced = copy.deepcopy(net), 0
    for part in list(net.modules()):
        for name, child in part.named_children():
            if isinstance(child, AveragePool):
                setattr(part, name, nn.AvgPool2d(child.side))
                replaced += 1
    assert replaced
    return net


def matched(net: nn.Module, images: Tensor) -> list[Tensor]:
    """Logits, the gradient to the parameters, and the gradient of its squared norm to the images, as in DC."""
    images = images.clone().requires_grad_()
    logits = net(images)
    labels = torch.arange(len(images)) % 3
    first = torch.autograd.grad(F.cross_entropy(logits, labels), list(net.parameters()), create_graph=True)
    (second,) = torch.autograd.grad(torch.stack([one.square().sum() for one in first]).sum(), images)
    return [logits.detach(), *(one.detach() for one in first), second]


@pytest.mark.parametrize("name", POOLED)
def test_every_network_has_the_numbers_of_the_pool_of_torch(name: str) -> None:
    size = {"convnet5": 33, "convnet6": 67}.get(name, 28)
    net = small(name, size=size, classes=3).double()
    images = maps(3, 3, size, size)
    ours, theirs = matched(net, images), matched(with_the_pool_of_torch(net), images)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-11)
