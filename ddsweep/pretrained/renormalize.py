"""Transform images of the target into the input of a PTM of another domain."""

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
class InputTransform:
    """Maps the normalized space of the target to the input space of a PTM; gradients flow through.

    An image x of the target becomes x·σₜ + μₜ (with ``target``), then grayscale or RGB as the PTM expects (channels are
    repeated or averaged), then (x − μₛ) / σₛ (with ``source``). Values are never clamped: synthetic images may leave
    [0, 1], and need their gradient outside as well.

    Sizes do not change here. The convolutions of a PTM accept images of another size than it was trained on, padded as
    in ``nn.build`` (28 to 32 pixels). The number of features then differs from the training's, which matters for a
    classifier but not for CCLoM. A foundation model resizes every image to its own 224 pixels.

    Attributes:
        channels: channels of the PTM's input, 1 or 3.
        target: μₜ and σₜ; None: the normalization of the target is kept.
        source: μₛ and σₛ; None: images are not normalized again.
    """

    channels: int
    target: Statistics | None = None
    source: Statistics | None = None

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """Return the input of the PTM."""
        if self.target is not None:
            mean, std = _columns(self.target, images.dtype, images.device)
            images = images * std + mean
        images = as_channels(images, self.channels)
        if self.source is not None:
            mean, std = _columns(self.source, images.dtype, images.device)
            images = (images - mean) / std
        return images


def to_source_statistics(target: Dataset, source: Dataset) -> InputTransform:
    """Return the transform for a PTM of ``source`` that normalizes images of ``target`` as in the PTM's training."""
    return InputTransform(source.channels, (target.mean, target.std), (source.mean, source.std))


def to_pixels(target: Dataset) -> InputTransform:
    """Return the transform for a foundation model, whose input is RGB in [0, 1]."""
    return InputTransform(3, (target.mean, target.std))


@lru_cache(maxsize=8)  # copied to the device once, not at every step
def _columns(statistics: Statistics, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    mean, std = (torch.tensor(values, dtype=dtype, device=device)[:, None, None] for values in statistics)
    return mean, std
