"""The conditional GAN of DiM: a generator and a discriminator with two heads (Wang et al., 2023; Odena et al., 2017).

In the original, images have 32×32 pixels, three channels and ten classes. Here any size, one or three channels, and any
number of classes are allowed; for the original's values, layers and parameter counts are the original's:

- The noise has 90 free numbers in addition to one per class (100 for ten classes).
- Feature maps start at ⌈size/8⌉ pixels (4), are enlarged three times, and the image is the center of the result.
- The discriminator ends with the maximum of each feature map (over 4×4).
"""

from __future__ import annotations

from itertools import pairwise
from math import ceil

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ddsweep.nn.layers import REFERENCE_WIDTH, scaled
from ddsweep.nn.memory import allocate
from ddsweep.nn.network import initialize
from ddsweep.rng import copy_to

FREE = 90  # numbers of the noise that do not state the class
MAPS = 196  # feature maps at width 128
SHRINK = 8  # factor between the image and the smallest feature maps
STEPS = ("up", "same", "same", "same", "up", "same", "up")  # of the generator
STRIDES = (1, 2, 1, 2, 1, 1, 1, 2)  # of the discriminator
SLOPE = 0.01


class Generator(nn.Module):
    """Maps noise to images in [−1, 1]: a linear layer, seven convolutions with batch norm and ReLU, and one with tanh.

    Three of the convolutions are transposed (4×4, stride 2) and double height and width; the others are 3×3.

    Attributes:
        classes: number of classes.
        channels: channels of the images, 1 or 3.
        size: height and width of the images in pixels.
        width: 128 as in the original.
    """

    def __init__(self, classes: int, channels: int, size: int, width: int = REFERENCE_WIDTH) -> None:
        super().__init__()
        self.classes, self.channels, self.size, self.width = classes, channels, size, width
        maps, start = scaled(MAPS, width), ceil(size / SHRINK)
        units = maps * start**2
        layers: list[nn.Module] = [nn.Linear(FREE + classes, units), nn.BatchNorm1d(units), nn.ReLU()]
        layers.append(nn.Unflatten(1, (maps, start, start)))
        for step in STEPS:
            layer = nn.ConvTranspose2d(maps, maps, 4, 2, 1) if step == "up" else nn.Conv2d(maps, maps, 3, padding=1)
            layers += [layer, nn.BatchNorm2d(maps), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(maps, channels, 3, padding=1), nn.Tanh())

    def forward(self, noise: Float[Tensor, "n d"]) -> Float[Tensor, "n c size size"]:
        """Return images in [−1, 1]."""
        images = self.layers(noise)
        first = (images.shape[-1] - self.size) // 2
        return images[:, :, first : first + self.size, first : first + self.size]


class Discriminator(nn.Module):
    """Maps images to a score, which is high for real images, and to logits of the classes.

    Eight 3×3 convolutions, each with layer norm and leaky ReLU, the maximum of each feature map, and two linear heads.
    """

    def __init__(self, classes: int, channels: int, size: int, width: int = REFERENCE_WIDTH) -> None:
        super().__init__()
        maps = scaled(MAPS, width)
        layers: list[nn.Module] = []
        for (before, after), stride in zip(pairwise([channels] + [maps] * len(STRIDES)), STRIDES, strict=True):
            size = ceil(size / stride)
            norm = nn.LayerNorm([after, size, size])
            layers += [nn.Conv2d(before, after, 3, stride, padding=1), norm, nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.MaxPool2d(size), nn.Flatten())
        self.source, self.label = nn.Linear(maps, 1), nn.Linear(maps, classes)

    def forward(self, images: Float[Tensor, "n c size size"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n classes"]]:
        """Return the scores and the logits."""
        features = self.layers(images)
        return self.source(features).squeeze(1), self.label(features)


def build(
    classes: int, channels: int, size: int, width: int = REFERENCE_WIDTH, generator: torch.Generator | None = None
) -> tuple[Generator, Discriminator]:
    """Return a generator and a discriminator on the CPU, in train mode, initialized as PyTorch does.

    Args:
        classes: number of classes.
        channels: channels of the images, 1 or 3.
        size: height and width of the images in pixels.
        width: 128 as in the original; the 196 feature maps are multiplied by width/128.
        generator: the CPU generator that draws all parameters, those of the generator first.
    """
    shape = (classes, channels, size, width)
    with torch.device("meta"):  # layers draw parameters when they are made; on "meta" no random number is drawn
        nets = Generator(*shape), Discriminator(*shape)
    for net in nets:
        allocate(net)
        initialize(net, generator)
    return nets


def noise(labels: Int64[Tensor, " n"], classes: int, generator: torch.Generator) -> Float[Tensor, "n d"]:
    """Return N(0, 1) noise whose first ``classes`` entries are replaced by the one-hot label, on the labels' device.

    Args:
        labels: the class of each image, on any device.
        classes: number of classes.
        generator: a CPU generator.
    """
    drawn = copy_to(torch.randn(len(labels), FREE + classes, generator=generator), labels.device)
    drawn[:, :classes] = nn.functional.one_hot(labels, classes).to(drawn.dtype)
    return drawn
