"""Networks as a researcher writes them in a plugin."""

VIT = '''
import torch
from torch import nn

import ddsweep
from ddsweep.nn.layers import scaled


def waves(patches, maps):
    """Sin-cos codes of positions, [patches, maps]."""
    place = torch.arange(patches)[:, None] / 10 ** (torch.arange(maps // 2) / maps * 4)
    return torch.cat([place.sin(), place.cos()], 1)


class ViT(nn.Module):
    def __init__(self, channels, size, maps, depth=2, patch=4, dropout=0.1):
        super().__init__()
        patches = (size // patch) ** 2
        self.patches = nn.Conv2d(channels, maps, patch, stride=patch)
        self.token = nn.Parameter(torch.zeros(1, 1, maps))
        self.places = nn.Parameter(0.02 * torch.randn(1, patches + 1, maps))
        self.register_buffer("codes", waves(patches, maps))
        layer = nn.TransformerEncoderLayer(maps, 4, 2 * maps, dropout, "gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        nn.init.trunc_normal_(self.token, std=0.02)

    def forward(self, x):
        x = self.patches(x).flatten(2).mT + self.codes
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.places
        return self.encoder(x)[:, 0]


@ddsweep.network("vit", smallest=8)
def vit(channels, size, width):
    return ViT(channels, size, 4 * scaled(32, width))
'''

RESNET = """
import torchvision

import ddsweep


@ddsweep.network("tv-resnet18", paper="ResNet-18 (torchvision)", channels=(3,), head="fc")
def resnet(channels, size, width, classes):
    return torchvision.models.resnet18(num_classes=classes)
"""

DATASET = """
import numpy as np

import ddsweep


@ddsweep.dataset("tiles", classes=("a", "b", "c"), size=16, smallest_class=12, strategy="color_crop")
def tiles(row, paths):
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 256, (3, 3, 16, 16))

    def split(each):
        labels = np.arange(3 * each) % 3
        images = patterns[labels] + rng.normal(0, 60, (len(labels), 3, 16, 16))
        return images.clip(0, 255).astype(np.uint8), labels

    return *split(12), *split(5)
"""

TIED = '''
import torch
from torch import nn

import ddsweep


class Tied(nn.Module):
    """A frozen layer, two convolutions with one weight, a buffer that repeats its numbers, an unused parameter."""

    def __init__(self, channels):
        super().__init__()
        self.first, self.one, self.two = nn.Conv2d(channels, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)
        self.first.requires_grad_(False)
        self.two.weight = self.one.weight
        self.register_buffer("gain", torch.ones(1).expand(8)[:, None, None])
        self.unused = nn.Parameter(torch.randn(3))

    def forward(self, x):
        return self.two(self.one(self.first(x).relu() * self.gain).relu()).relu().mean((2, 3))


@ddsweep.network("tied")
def tied(channels, size, width):
    return Tied(channels)
'''

HEAD = """
import torch
from torch import nn

import ddsweep


{before}


@ddsweep.network("mine"{said})
def mine(channels, size, width{classes}):
    {body}
"""


def source(body: str, before: str = "", said: str = "", classes: str = "") -> str:
    """The network ``mine``, whose function has this body."""
    return HEAD.format(body=body, before=before, said=said, classes=classes)
