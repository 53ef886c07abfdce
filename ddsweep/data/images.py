"""Normalised images: as floats where they are small, and otherwise as bytes that become floats when they are used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

FLOATS_UP_TO = 1 << 30  # bytes of float32: CIFAR-10 (0.6 GB) and SVHN (0.9 GB) are below, Tiny ImageNet is above


class PackedImages:
    """Images that are kept as bytes and normalised on access: the same numbers, bit for bit, in a quarter of the space.

    Whatever is read of them is a new float32 tensor. What this offers, a Tensor offers too: data[indices], len, split,
    shape, device and dtype.
    """

    dtype = torch.float32

    def __init__(self, pixels: UInt8[Tensor, "n c h w"], mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self._pixels, self._mean, self._std = pixels, mean, std

    @property
    def shape(self) -> torch.Size:
        """[n, c, h, w]."""
        return self._pixels.shape

    @property
    def device(self) -> torch.device:
        """Where the bytes lie, and where the floats will."""
        return self._pixels.device

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: Any) -> Float[Tensor, "*k c h w"]:
        """The images of an index along the first axis: a number, a slice, or a tensor of indices or truth values."""
        return normalised(self._pixels[index], self._mean, self._std)

    def split(self, size: int) -> Iterator[Float[Tensor, "k c h w"]]:
        """One after the other, batches of ``size`` images; the last may be smaller."""
        return (self[start : start + size] for start in range(0, len(self), size))


Images = Tensor | PackedImages
"""Normalised images [n, c, h, w] behind one set of operations (see ``PackedImages``)."""


def on_device(
    pixels: UInt8[Tensor, "n c h w"], mean: tuple[float, ...], std: tuple[float, ...], device: str | torch.device
) -> Images:
    """(pixel / 255 − mean) / std, as floats if these take at most ``FLOATS_UP_TO`` bytes."""
    there = pixels.to(device)  # the bytes travel, not the floats
    if pixels.numel() * torch.float32.itemsize > FLOATS_UP_TO:
        return PackedImages(there, mean, std)
    return normalised(there, mean, std)


def normalised(
    pixels: UInt8[Tensor, "*n c h w"], mean: tuple[float, ...], std: tuple[float, ...]
) -> Float[Tensor, "*n c h w"]:
    """(pixel / 255 − mean) / std for each channel, in float32."""
    images = pixels.to(torch.float32)
    centre, spread = (torch.tensor(values, device=images.device)[:, None, None] for values in (mean, std))
    return images.div_(255).sub_(centre).div_(spread)  # in place: one float copy at a time
