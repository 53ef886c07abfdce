"""Transform images of the target into the input of a PTM of another domain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep.data import as_channels
from ddsweep.data.dataset import Dataset
from ddsweep.data.zca import Whitening

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel, in units of [0, 1]."""


@dataclass(frozen=True)
class InputTransform:
    """Maps the normalized space of the target to the input space of a PTM; gradients flow through.

    If the target is whitened (``whitening``), an image is first restored to pixels and normalized. An image x of the
    target then becomes x·σₜ + μₜ (with ``target``), then grayscale or RGB as the PTM expects (channels are
    repeated or averaged), then (x − μₛ) / σₛ (with ``source``). Values are never clamped: synthetic images may leave
    [0, 1], and need their gradient outside as well.

    Sizes do not change here. The convolutions of a PTM accept images of another size than it was trained on, padded as
    in ``nn.build`` (28 to 32 pixels). The number of features then differs from the training's, which matters for a
    classifier but not for CCLoM. A foundation model resizes every image to its own 224 pixels.

    Attributes:
        channels: channels of the PTM's input, 1 or 3.
        target: μₜ and σₜ; None: the normalization of the target is kept.
        source: μₛ and σₛ; None: images are not normalized again.
        whitening: of the target, with the mean and standard deviation that normalize its pixels; None: it is not
            whitened, or the PTM was trained on images that are.
    """

    channels: int
    target: Statistics | None = None
    source: Statistics | None = None
    whitening: tuple[Whitening, Statistics] | None = None

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """Return the input of the PTM."""
        if self.whitening is not None:
            whitening, statistics = self.whitening
            mean, std = _columns(statistics, images.dtype, images.device)
            images = (whitening.invert(images) - mean) / std
        if self.target is not None:
            mean, std = _columns(self.target, images.dtype, images.device)
            images = images * std + mean
        images = as_channels(images, self.channels)
        if self.source is not None:
            mean, std = _columns(self.source, images.dtype, images.device)
            images = (images - mean) / std
        return images


def view(statistics: Literal["target", "source"], target: Dataset, source: Dataset) -> InputTransform:
    """Return the transform for a PTM of ``source``.

    Args:
        statistics: ``source``: images of ``target`` are normalized as in the PTM's training; ``target``: they are not
            normalized again, as in the paper's code.
        target: the dataset that is distilled.
        source: the dataset of the PTM; the same object if it is the target.
    """
    whitening = None if source is target else _whitening(target)
    if statistics == "target":
        return InputTransform(source.channels, whitening=whitening)
    return InputTransform(source.channels, (target.mean, target.std), (source.mean, source.std), whitening)


def to_pixels(target: Dataset, channels: int = 3) -> InputTransform:
    """Return the transform for a foundation model, whose input is in [0, 1], with 3 channels (RGB) or 1 (gray)."""
    return InputTransform(channels, (target.mean, target.std), whitening=_whitening(target))


def _whitening(target: Dataset) -> tuple[Whitening, Statistics] | None:
    return None if target.whitening is None else (target.whitening, (target.mean, target.std))


@lru_cache(maxsize=8)  # copied to the device once, not at every step
def _columns(statistics: Statistics, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    mean, std = (torch.tensor(values, dtype=dtype, device=device)[:, None, None] for values in statistics)
    return mean, std
