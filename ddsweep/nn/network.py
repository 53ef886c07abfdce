"""Build a network by name, and initialize it from a generator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from ddsweep.nn import plugged
from ddsweep.nn.layers import REFERENCE_WIDTH, Body
from ddsweep.nn.memory import allocate
from ddsweep.plugins import resolve
from ddsweep.registry import networks


@dataclass(frozen=True)
class Shape:
    """What a network is built for.

    Attributes:
        channels: channels of the images.
        size: their height and width in pixels, before padding.
        classes: number of classes.
        width: see :func:`build`.
    """

    channels: int
    size: int
    classes: int
    width: int


class Network(nn.Module):
    """Layers, most of them convolutions, then one linear layer: ``forward(x) = classifier(embed(x))``.

    Parameters are registered in the order of their use: a weight before its bias, a convolution before its norm; in a
    residual block the shortcut is last.

    Attributes:
        architecture: its row in the table of architectures.
        shape: what it was built for.
        layers: maps images to feature maps.
        classifier: the linear layer, [d] → [classes]; of a plugin's network with a head of its own, the head.
    """

    def __init__(self, architecture: networks.Architecture, body: Body, shape: Shape) -> None:
        super().__init__()
        self.architecture, self.shape = architecture, shape
        self.layers = body.layers
        self.classifier = body.head if body.head is not None else nn.Linear(body.features, shape.classes)

    @property
    def width(self) -> int:
        """See :func:`build`."""
        return self.shape.width

    def embed(self, x: Float[Tensor, "n c size size"]) -> Float[Tensor, "n d"]:
        """Return the input of the classifier: the last feature maps, flattened in (channel, row, column) order.

        Images of any size that the convolutions accept can be used, not only the size the network was built for; d then
        differs from the classifier's, and ``forward`` cannot be used. Images are padded as in :func:`build`.

        Raises:
            UserError: the images are too small for this network.
        """
        return self._maps(x).flatten(1)

    def forward(self, x: Float[Tensor, "n c size size"]) -> Float[Tensor, "n classes"]:
        """Return the logits of images of the size the network was built for."""
        if not self.architecture.head:
            return self.classifier(self.embed(x))
        with plugged.differentiable():
            return self.classifier(self._maps(x))

    def _maps(self, x: Tensor) -> Tensor:
        size = x.shape[-1]
        missing = self.architecture.canvas(size) - size
        if missing:
            before, after = missing // 2, missing - missing // 2
            x = nn.functional.pad(x, (before, after, before, after))
        if not self.architecture.plugin:
            return self.layers(x)
        with plugged.differentiable():
            return self.layers(x)


def build(
    name: str,
    *,
    channels: int = 3,
    classes: int = 10,
    size: int = 32,
    width: int = REFERENCE_WIDTH,
    generator: Generator | None = None,
) -> Network:
    """Return a network on the CPU, in train mode, initialized with :func:`initialize`.

    The networks and their parameter counts are those of the reference code of DC, DSA and DM, on which the paper
    builds. Images of some sizes are centered and zero-padded to 32×32 (``Architecture.canvas``):

    =============  ===================  ======================
    network        padded to 32         smallest image
    =============  ===================  ======================
    ConvNet-D      28                   2^D (and 28 for D ≤ 5)
    AlexNet        28                   8
    VGG-11         all below 32         1
    ResNet-18      all below 32 but 28  1
    =============  ===================  ======================

    The network of a plugin is what the plugin's function makes (``nn.plugged``), on the CPU.

    For one channel of 28×28 pixels this equals the reference code, which widens the padding of the first convolution
    by 2 instead. For three channels, where that code stops with a shape error (except for ResNet-18), it is our choice.

    Args:
        name: one of ``nn.names()``.
        channels: channels of the images.
        classes: number of classes.
        size: height and width of the images in pixels.
        width: channels of a ConvNet; in other networks every channel count is multiplied by width/128 and rounded to
            at least 1. 128 as in the reference code; smaller widths are for demonstrations.
        generator: the CPU generator that draws all parameters; None: PyTorch's global generator.

    Raises:
        UserError: the name is unknown, the images are too small for the network, or a plugin's network cannot be built.
    """
    row = networks.info(name)
    canvas, shape = row.canvas(size), Shape(channels, size, classes, width)
    if row.plugin:
        row.check_channels(channels)
        seed = plugged.draw_seed(generator)
        body = plugged.make(row, channels, canvas, classes, width, seed)
        with torch.device("meta"):
            net = Network(row, body, shape)
        if body.head is None:
            allocate(net.classifier)
        _draw_rest(net, generator, seed)
        return net
    with torch.device("meta"):  # layers draw parameters when they are made; on "meta" the global generator is not moved
        net = Network(row, resolve(row.source)(channels, canvas, width, **row.options), shape)
    allocate(net)
    initialize(net, generator)
    return net


@torch.no_grad()
def initialize(net: nn.Module, generator: Generator | None) -> None:
    """Draw every parameter again, in place, from the distributions that PyTorch's layers use.

    Weights and biases of convolutions and linear layers are uniform in ±1/√fan_in (weights: Kaiming-uniform, a = √5).
    Norms get weight 1, bias 0 and fresh running statistics. Parameters are drawn in registration order, so that the
    numbers are those that PyTorch would draw from its global generator with the same seed. A layer with a method
    ``initialize(generator)`` draws its parameters itself.

    For a plugin's network, its function is called again, and the parameters and buffers of what it makes are copied.
    The linear classifier that ddsweep has appended, and layers with a method ``initialize(generator)``, are drawn as
    above.

    Args:
        net: a network on any device.
        generator: a CPU generator; None: PyTorch's global generator.

    Raises:
        TypeError: a layer has parameters and no known initialization, and the network is not a plugin's.
        UserError: the function of a plugin fails, or makes other parameters than before.
    """
    if isinstance(net, Network) and net.architecture.plugin:
        row, shape, seed = net.architecture, net.shape, plugged.draw_seed(generator)
        body = plugged.make(row, shape.channels, row.canvas(shape.size), shape.classes, shape.width, seed, again=True)
        plugged.copy(row, body.layers, net.layers)
        if body.head is not None:
            plugged.copy(row, body.head, net.classifier)
        _draw_rest(net, generator, seed)
        return
    for layer in net.modules():
        match layer:
            case _ if callable(own := getattr(layer, "initialize", None)):
                own(generator)
            case nn.Conv2d() | nn.ConvTranspose2d() | nn.Linear():
                _draw_linear(layer, generator)
            case nn.GroupNorm() | nn.BatchNorm1d() | nn.BatchNorm2d() | nn.LayerNorm():
                layer.reset_parameters()
            case _ if next(layer.parameters(recurse=False), None) is not None:
                raise TypeError(f"{type(layer).__name__} has parameters, and nothing is known about how to draw them")


@torch.no_grad()
def _draw_rest(net: Network, generator: Generator | None, seed: int) -> None:
    """Draw what the function of a plugin has not: the classifier, and layers that draw their parameters themselves."""
    for layer in net.modules():
        own: Any = getattr(layer, "initialize", None)
        if plugged.takes_generator(own):
            with (
                plugged.guarded(net, seed, "initialize"),
                plugged.blaming(net.architecture, f"{type(layer).__name__}.initialize fails"),
            ):
                own(generator)
    if isinstance(net.classifier, nn.Linear) and not net.architecture.head:
        _draw_linear(net.classifier, generator)


def _draw_linear(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, generator: Generator | None) -> None:
    bound = 1 / math.sqrt(layer.weight[0].numel())
    for parameter in (layer.weight, layer.bias):
        if parameter is not None:
            values = torch.empty_like(parameter, device="cpu").uniform_(-bound, bound, generator=generator)
            parameter.copy_(values, non_blocking=True)
