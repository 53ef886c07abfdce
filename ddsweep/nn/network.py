"""Build a network by name, and initialize it from a generator."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from ddsweep.errors import UserError
from ddsweep.nn.layers import REFERENCE_WIDTH, Body
from ddsweep.plugins import resolve
from ddsweep.registry import networks


class Network(nn.Module):
    """Layers, most of them convolutions, then one linear layer: ``forward(x) = classifier(embed(x))``.

    Parameters are registered in the order of their use: a weight before its bias, a convolution before its norm; in a
    residual block the shortcut is last.

    Attributes:
        architecture: its row in the table of architectures.
        width: see :func:`build`.
        layers: maps images to feature maps.
        classifier: the linear layer, [d] → [classes].
    """

    def __init__(
        self, architecture: networks.Architecture, body: Body, classes: int, width: int = REFERENCE_WIDTH
    ) -> None:
        super().__init__()
        self.architecture, self.width = architecture, width
        self.layers = body.layers
        self.classifier = nn.Linear(body.features, classes)

    def embed(self, x: Float[Tensor, "n c size size"]) -> Float[Tensor, "n d"]:
        """Return the input of the classifier: the last feature maps, flattened in (channel, row, column) order.

        Images of any size that the convolutions accept can be used, not only the size the network was built for; d then
        differs from the classifier's, and ``forward`` cannot be used. Images are padded as in :func:`build`.

        Raises:
            UserError: the images are too small for this network.
        """
        size = x.shape[-1]
        missing = self.architecture.canvas(size) - size
        if missing:
            before, after = missing // 2, missing - missing // 2
            x = nn.functional.pad(x, (before, after, before, after))
        return self.layers(x).flatten(1)

    def forward(self, x: Float[Tensor, "n c size size"]) -> Float[Tensor, "n classes"]:
        """Return the logits of images of the size the network was built for."""
        return self.classifier(self.embed(x))


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
    canvas = row.canvas(size)
    with torch.device("meta"):  # layers draw parameters when they are made; on "meta" the global generator is not moved
        net = Network(row, _body(row, channels, canvas, width), classes, width)
    net.to_empty(device="cpu")
    initialize(net, generator)
    return net


def _body(row: networks.Architecture, channels: int, size: int, width: int) -> Body:
    """Return the layers; if the row's function does not count their features, run two images of zeros through them."""
    made = resolve(row.source)(channels, size, width, **row.options)
    if isinstance(made, Body):
        return made
    if not isinstance(made, nn.Module):
        raise UserError(f"{_whose(row)}: its function returns {type(made).__name__}, not a torch module")
    try:
        features = made(torch.zeros(2, channels, size, size))
        shape = list(features.shape)
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(f"{_whose(row)}: cannot take {channels}×{size}×{size} images ({reason})") from error
    if len(shape) == 1 or shape[:1] != [2]:
        raise UserError(f"{_whose(row)}: makes {shape} of two images; the first axis must be theirs")
    return Body(made, math.prod(shape[1:]))


def _whose(row: networks.Architecture) -> str:
    code = networks.TABLE.code(row.name)
    return f"arch: {row.name}{f' of the plugin {code.name}' if code else ''}"


@torch.no_grad()
def initialize(net: nn.Module, generator: Generator | None) -> None:
    """Draw every parameter again, in place, from the distributions that PyTorch's layers use.

    Weights and biases of convolutions and linear layers are uniform in ±1/√fan_in (weights: Kaiming-uniform, a = √5).
    Norms get weight 1, bias 0 and fresh running statistics. Parameters are drawn in registration order, so that the
    numbers are those that PyTorch would draw from its global generator with the same seed. A layer with a method
    ``initialize(generator)`` draws its parameters itself; every other kind of layer with parameters needs one.

    Args:
        net: a network on any device.
        generator: a CPU generator; None: PyTorch's global generator.

    Raises:
        TypeError: a layer has parameters and no known initialization.
    """
    for layer in net.modules():
        match layer:
            case _ if callable(own := getattr(layer, "initialize", None)):
                own(generator)
            case nn.Conv2d() | nn.ConvTranspose2d() | nn.Linear():
                bound = 1 / math.sqrt(layer.weight[0].numel())
                _uniform(layer.weight, bound, generator)
                if layer.bias is not None:
                    _uniform(layer.bias, bound, generator)
            case nn.GroupNorm() | nn.BatchNorm1d() | nn.BatchNorm2d() | nn.LayerNorm():
                layer.reset_parameters()
            case _ if next(layer.parameters(recurse=False), None) is not None:
                raise TypeError(f"{type(layer).__name__} has parameters and no initialize(generator) to draw them")


def _uniform(parameter: Tensor, bound: float, generator: Generator | None) -> None:
    values = torch.empty_like(parameter, device="cpu").uniform_(-bound, bound, generator=generator)
    parameter.copy_(values, non_blocking=True)


def has_batch_norm(net: nn.Module) -> bool:
    """Return whether outputs depend on running statistics, and so differ between train and eval mode."""
    return any(isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)) for layer in net.modules())
