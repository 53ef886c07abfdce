import pytest
import torch
from torch import nn as layers
from torch.nn.functional import conv2d, cross_entropy

from ddsweep import nn
from tests.nn.nets import count, seeded, small


@pytest.mark.parametrize(("depth", "size"), [(d, 32) for d in range(1, 6)] + [(3, 16), (6, 64), (6, 128), (6, 224)])
@pytest.mark.parametrize("width", [128, 24])
def test_parameter_count_of_a_convnet_in_closed_form(depth, size, width):
    channels, classes = 3, 7
    features = width * (size // 2**depth) ** 2
    first = 9 * channels * width + width
    others = (depth - 1) * (9 * width * width + width)
    norms = depth * 2 * width
    net = nn.build(f"convnet{depth}", classes=classes, size=size, width=width, generator=seeded())
    assert count(net) == first + others + norms + features * classes + classes
    assert net.classifier.in_features == features


def test_a_convnet_equals_the_formula():
    """Convolution with bias; normalize each map by its own mean and variance; ReLU; average of 2×2; three times."""
    net = small("convnet3", classes=4).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=seeded(2), dtype=torch.float64))
    x = images = torch.randn(2, 3, 32, 32, generator=seeded(1), dtype=torch.float64)
    weights = list(net.parameters())
    for block in range(3):
        w, b, gain, shift = weights[4 * block : 4 * block + 4]
        x = conv2d(x, w, b, padding=1)
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, correction=0)
        x = gain[:, None, None] * (x - mean) / (variance + 1e-5).sqrt() + shift[:, None, None]
        x = x.clamp(min=0)
        x = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
    w, b = weights[-2:]
    torch.testing.assert_close(net(images), x.reshape(2, -1) @ w.T + b, rtol=1e-10, atol=1e-10)


def test_biases_of_convolutions_before_an_instance_norm_have_no_gradient():
    net = nn.build("convnet3", width=32, generator=seeded()).double()
    images = torch.randn(4, 3, 32, 32, generator=seeded(1), dtype=torch.float64)
    cross_entropy(net(images), torch.tensor([0, 1, 2, 3])).backward()
    convolutions = [layer for layer in net.layers.children() if isinstance(layer, layers.Conv2d)]
    assert len(convolutions) == 3
    for convolution in convolutions:
        weight, bias = convolution.parameters()
        assert weight.grad is not None and weight.grad.norm() > 1e-3
        assert bias.grad is not None and bias.grad.norm() < 1e-14
