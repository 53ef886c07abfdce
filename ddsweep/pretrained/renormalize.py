"""What a PTM sees of an image of another domain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep.data import as_channels
from ddsweep.data.dataset import Dataset

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel, in units of [0, 1]."""


@dataclass(frozen=True)
class Lens:
    """From the normalized space of the target to what a PTM takes; gradients flow through.

    An image x of the target becomes x·σₜ + μₜ (if ``target``), then gray or RGB as the PTM has it (repeated or
    averaged), then (x − μₛ) / σₛ (if ``source``). Values are never clamped: synthetic images may leave [0, 1], and need
    their gradient there too.

    Sizes are not touched here. The convolutions of a PTM trained here take images of another size than its own, padded
    as in ``nn.build`` (28 to 32 pixels); its features are then more or fewer numbers than in its training, which CCLoM
    does not mind and a classifier would. A foundation model resizes every image to its own 224 pixels.

    Attributes:
        channels: 1 or 3, of the PTM.
        target: μₜ and σₜ; None: images are left as they are.
        source: μₛ and σₛ; None: they are not normalized again.
    """

    channels: int
    target: Statistics | None = None
    source: Statistics | None = None

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """What the PTM takes."""
        if self.target is not None:
            mean, std = _columns(self.target, images.dtype, images.device)
            images = images * std + mean
        images = as_channels(images, self.channels)
        if self.source is not None:
            mean, std = _columns(self.source, images.dtype, images.device)
            images = (images - mean) / std
        return images


def restated(target: Dataset, source: Dataset) -> Lens:
    """For a PTM of ``source`` that is to see images of ``target`` normalized as in its training."""
    return Lens(source.channels, (target.mean, target.std), (source.mean, source.std))


def pixels(target: Dataset) -> Lens:
    """For a foundation model, which takes RGB in [0, 1]."""
    return Lens(3, (target.mean, target.std))


@lru_cache(maxsize=8)  # copied to the device once, not at every step
def _columns(statistics: Statistics, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    mean, std = (torch.tensor(values, dtype=dtype, device=device)[:, None, None] for values in statistics)
    return mean, std
