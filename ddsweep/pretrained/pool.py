"""The PTMs of one trial, frozen and in eval mode, and the drawing of one per step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor

from ddsweep import nn
from ddsweep.data import as_channels
from ddsweep.data.dataset import Dataset
from ddsweep.pretrained.spec import Spec

CHUNK = 1024  # images per forward pass over the real side


@dataclass(eq=False)
class PretrainedModel:
    """One PTM: frozen, in eval mode, fed with images of any domain.

    Images of the target arrive as they are, in the target's normalised space, also at a PTM of another domain: that is
    what the paper's code does (protocols 6.5). Grey images are repeated to three channels and colour is averaged to
    grey where the PTM's domain has the other kind.
    """

    net: nn.Network
    channels: int
    _features: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Logits over the classes of the PTM's own domain."""
        return self.net(as_channels(images, self.channels))

    def embed(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Features before the classifier."""
        return self.net.embed(as_channels(images, self.channels))

    @torch.no_grad()
    def features(self, dataset: Dataset) -> Float[Tensor, "train d"]:
        """Features of all training images, computed once: they are not augmented, so no step changes them."""
        if dataset.checksum not in self._features:
            parts = [self.embed(images) for images in dataset.images.split(CHUNK)]
            self._features[dataset.checksum] = torch.cat(parts)
        return self._features[dataset.checksum]


class Pool:
    """PTMs by architecture and seed.

    Attributes:
        models: for each architecture, its models in the order of their seeds.
    """

    def __init__(self, models: Sequence[Sequence[PretrainedModel]]) -> None:
        self.models = [list(seeds) for seeds in models]

    def draw(self, generator: torch.Generator) -> PretrainedModel:
        """One PTM: an architecture uniformly, then one of its seeds uniformly (paper, Sec. 5.1)."""
        seeds = self.models[int(torch.randint(len(self.models), (), generator=generator))]
        return seeds[int(torch.randint(len(seeds), (), generator=generator))]


def load(specs: Sequence[Sequence[Spec]], epoch: int, source: Dataset) -> Pool:
    """The pool of PTMs taken after ``epoch`` epochs, on the device of ``source``."""
    return Pool([[_load(spec, epoch, source) for spec in seeds] for seeds in specs])


def _load(spec: Spec, epoch: int, source: Dataset) -> PretrainedModel:
    net = nn.build(
        spec.arch, channels=source.channels, classes=len(source.classes), size=source.size, width=spec.width,
        generator=torch.Generator(),
    )  # fmt: skip
    net.load_state_dict(load_file(spec.weights(epoch)))
    net.to(source.images.device).requires_grad_(False).eval()
    return PretrainedModel(net, source.channels)
