"""PTMs that a plugin's function makes: their input, their weights, and mistakes in one line."""

from __future__ import annotations

import random

import pytest
import torch
from torch.nn import functional as F

from ddsweep import data
from ddsweep.errors import PluginError
from ddsweep.nn.foundation import FoundationModel
from ddsweep.pretrained import made, published
from ddsweep.registry.ptms import PTMS
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]
NET = """
import random
import ddsweep, torch
from torch import nn

class Net(nn.Module):
    def __init__(self, channels=3, classes=10):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, classes)
        self.register_buffer("drawn", torch.tensor(random.random()))

    def embed(self, x):
        return self.norm(self.conv(x)).relu().mean((2, 3)) + self.drawn

    def forward(self, x):
        return self.head(self.embed(x))
"""
MADE = NET + '@ddsweep.ptm("mine", {arguments})\ndef make():\n    {body}\n'


def build(plug: Plug, arguments: str = "", body: str = "return Net()") -> FoundationModel:
    plug(mine=MADE.format(arguments=arguments, body=body))
    return made.build(PTMS["mine"])


def test_it_is_the_same_whatever_was_drawn_before_and_draws_nothing_itself(plug: Plug) -> None:
    first = build(plug)
    torch.rand(3)
    random.random()
    before = torch.get_rng_state()
    second = made.build(PTMS["mine"])
    assert torch.equal(before, torch.get_rng_state())
    assert first.state_dict().keys() == second.state_dict().keys()
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())
    assert not any(parameter.requires_grad for parameter in first.parameters())
    assert not any(module.training for module in first.modules())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [0, 24])
def test_it_sees_pixels_as_it_wants_them(plug: Plug, channels: int, size: int) -> None:
    """Gray digits: back to [0, 1], to its channels, to its size, normalized; pixel by pixel outside of the package."""
    arguments = f'size={size}, channels={channels}, mean=0.25, std=0.5, classes="digits"'
    build(plug, arguments, f"return Net({channels})")
    digits = data.load("digits")
    pool, net = made.load(PTMS["mine"], digits)
    (model,) = pool.models[0]
    seen = (digits.images[:5] * digits.std[0] + digits.mean[0]).repeat(1, channels, 1, 1)
    if size:
        seen = F.interpolate(seen, (size, size), mode="bilinear", antialias=True)
    trunk = net.trunk
    assert isinstance(trunk, torch.nn.Module)
    expected = trunk((seen - 0.25) / 0.5)
    torch.testing.assert_close(model(digits.images[:5]), expected, rtol=1e-4, atol=1e-5)
    expected = trunk.embed((seen - 0.25) / 0.5)  # type: ignore[operator]
    torch.testing.assert_close(model.embed(digits.images[:5]), expected, rtol=1e-4, atol=1e-5)
    assert (model.arch, model.canvas) == ("mine", size)


def test_features_of_any_shape_are_flattened(plug: Plug) -> None:
    net = build(plug, body="return nn.Conv2d(3, 2, 3)")
    images = torch.rand(4, 3, 5, 5)
    assert list(net.embed(images).shape) == [4, 2 * 3 * 3]
    assert torch.equal(net(images), net.embed(images))


def test_half_precision_weights_become_float32(plug: Plug) -> None:
    assert build(plug, body="return Net().half()").embed(torch.rand(2, 3, 8, 8)).dtype == torch.float32


def test_its_checksum_is_that_of_its_weights(plug: Plug) -> None:
    net = build(plug)
    assert published.checksum(net.state_dict()) == published.checksum(made.build(PTMS["mine"]).state_dict())


@pytest.mark.parametrize(
    ("arguments", "body", "said"),
    [
        ("", "return 3", "PTM 'mine': its function returns int, not a torch.nn.Module"),
        ("", "return Net", "PTM 'mine': its function returns type, not a torch.nn.Module"),
        ("", "return torch.load('nowhere.pt')", "PTM 'mine': FileNotFoundError: "),
        ('classes="digits"', "return nn.Flatten()", "PTM 'mine': has classes, but no method embed(images)"),
        ('classes="digits"', "return Net(3, 7)", "PTM 'mine': returns logits of shape [2, 7], not [2, 10]"),
        ("channels=1", "return Net(3)", "PTM 'mine': fails on images of 16 pixels: RuntimeError: "),
        ("", "return nn.Conv2d(3, 4, 99)", "PTM 'mine': fails on images of 16 pixels: RuntimeError: "),
    ],
)
def test_a_mistake_is_one_line(plug: Plug, arguments: str, body: str, said: str) -> None:
    plug(mine=MADE.format(arguments=arguments, body=body))
    with pytest.raises(PluginError) as error:
        made.load(PTMS["mine"], data.load("digits"))
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)
