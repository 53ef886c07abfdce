"""A network by name, and its initialisation from a generator."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from ddsweep.nn import alexnet, convnet, resnet, table, vgg
from ddsweep.nn.layers import REFERENCE_WIDTH, Body

# A family turns (channels, size, width, **its row's options in the table) into layers. The next one goes here.
FAMILIES: dict[str, Callable[..., Body]] = {
    "convnet": convnet.body,
    "alexnet": alexnet.body,
    "vgg": vgg.body,
    "resnet": resnet.body,
}


class Network(nn.Module):
    """Convolutions, then one linear layer: ``forward(x) = classifier(embed(x))``.

    Parameters are registered in the order in which they are used, a weight before its bias, a convolution before its
    norm; in a residual block the shortcut comes last.

    Attributes:
        architecture: its row in the table.
        layers: the convolutions.
        classifier: the linear layer, [d] → [classes].
    """

    def __init__(self, architecture: table.Architecture, body: Body, classes: int) -> None:
        super().__init__()
        self.architecture = architecture
        self.layers = body.layers
        self.classifier = nn.Linear(body.features, classes)

    def embed(self, x: Float[Tensor, "n c size size"]) -> Float[Tensor, "n d"]:
        """What the classifier sees: the last feature maps, flattened in (channel, row, column) order.

        Any size that the convolutions can take is accepted, not only the one the network was built for; d then differs
        from the classifier's, and only ``embed``, not ``forward``, can be used. Sizes are padded as in :func:`build`.

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
        """Logits of images of the size the network was built for."""
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
    """A network on the CPU, in training mode, initialised with :func:`initialise`.

    The networks, and their parameter counts, are those of the reference code of DC, DSA and DM, on which the paper
    builds. Images of some sizes are zero-padded, centred, to 32×32 on the way in (``Architecture.canvas``):

    =============  ===================  ======================
    network        padded to 32         smallest image
    =============  ===================  ======================
    ConvNet-D      28                   2^D (and 28 for D ≤ 5)
    AlexNet        28                   8
    VGG-11         all below 32         1
    ResNet-18      all below 32 but 28  1
    =============  ===================  ======================

    For one channel of 28 pixels this equals the reference, which widens the padding of the first convolution by 2
    instead. For three channels, where the reference stops with a shape error (all but ResNet-18), it is our choice.

    Args:
        name: one of ``nn.names()``.
        channels: of the images.
        classes: how many.
        size: height and width of the images in pixels.
        width: channels of a ConvNet; in other networks every channel count is multiplied by width/128 and rounded, to
            at least 1. 128 is the reference; smaller ones are for demonstrations.
        generator: a CPU generator from which all parameters are drawn; None: PyTorch's global one.

    Raises:
        UserError: there is no such network, or the images are too small for it.
    """
    row = table.info(name)
    canvas = row.canvas(size)
    with torch.device("meta"):  # layers draw their parameters when they are made: not from the global generator
        net = Network(row, FAMILIES[row.family](channels, canvas, width, **row.options), classes)
    net.to_empty(device="cpu")
    initialise(net, generator)
    return net


@torch.no_grad()
def initialise(net: nn.Module, generator: Generator | None) -> None:
    """Re-draw every parameter in place, as PyTorch's layers initialise themselves.

    Weights and biases of convolutions and linear layers are uniform in ±1/√fan_in (weights: Kaiming-uniform, a = √5).
    Norms get weight 1, bias 0 and fresh running statistics. In registration order and from the same seed, the numbers
    are those that PyTorch would have drawn from its global generator.

    Args:
        net: on any device.
        generator: a CPU generator; None: PyTorch's global one.

    Raises:
        TypeError: a layer of ``net`` has parameters of which no initialisation is known here.
    """
    for layer in net.modules():
        match layer:
            case nn.Conv2d() | nn.Linear():
                bound = 1 / math.sqrt(layer.weight[0].numel())
                _uniform(layer.weight, bound, generator)
                if layer.bias is not None:
                    _uniform(layer.bias, bound, generator)
            case nn.GroupNorm() | nn.BatchNorm2d():
                layer.reset_parameters()
            case _ if next(layer.parameters(recurse=False), None) is not None:
                raise TypeError(f"initialise does not know {type(layer).__name__}")


def _uniform(parameter: Tensor, bound: float, generator: Generator | None) -> None:
    drawn = torch.empty_like(parameter, device="cpu").uniform_(-bound, bound, generator=generator)
    parameter.copy_(drawn)


def has_batch_norm(net: nn.Module) -> bool:
    """Whether its outputs depend on running statistics, and so on training or evaluation mode."""
    return any(isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)) for layer in net.modules())
