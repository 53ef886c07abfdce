"""The dataset as the data plane uses it: normalized images on a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from ddsweep.data import store
from ddsweep.errors import UserError
from ddsweep.registry.datasets import FULL_STRATEGY, info
from ddsweep.rng import copy_to

FLOATS_UP_TO = 1 << 30  # bytes of float32: CIFAR-10 (0.6 GB) and SVHN (0.9 GB) are below, Tiny ImageNet is above


@dataclass(frozen=True, eq=False)
class Dataset:
    """All images of a dataset on one device; a batch is an index.

    Attributes:
        name: as in a recipe; of an image folder, with its absolute path.
        classes: names in label order.
        mean: per-channel mean that was subtracted, in units of [0, 1].
        std: per-channel standard deviation that was divided by.
        images: [n, c, h, w] training images, normalized: (pixel / 255 − mean) / std. A tensor, or, where that would be
            large, ``PackedImages``; both give floats for images[indices] and images.split(size).
        labels: of the training images.
        test_images: [m, c, h, w], likewise.
        test_labels: of the test images.
        checksum: SHA-256 of classes, mean, std and the pixels; equal checksums are equal datasets.
    """

    name: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    images: Images
    labels: Int64[Tensor, " n"]
    test_images: Images
    test_labels: Int64[Tensor, " m"]
    checksum: str

    @property
    def strategy(self) -> str:
        """Augmentation operations that keep the labels, joined by ``_``; of images that no table knows, all of them."""
        try:
            return info(self.name).strategy
        except UserError:
            return FULL_STRATEGY

    @property
    def channels(self) -> int:
        """1 or 3."""
        return self.images.shape[1]

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return self.images.shape[-1]

    @cached_property
    def per_class(self) -> tuple[Int64[Tensor, " k"], ...]:
        """Indices of the training images of each class, ascending, on the CPU: to draw from them stalls no device."""
        labels = self.labels.cpu()
        counts = torch.bincount(labels, minlength=len(self.classes))
        return torch.argsort(labels, stable=True).split(counts.tolist())

    def draw(self, label: int, n: int, generator: torch.Generator) -> Int64[Tensor, " k"]:
        """Indices, on the CPU, of ``n`` distinct training images of a class, or of all of them when it has fewer.

        Args:
            label: the class.
            n: how many images are wanted.
            generator: on the CPU, so that every device draws the same images.
        """
        members = self.per_class[label]
        return members[torch.randperm(len(members), generator=generator)[:n]]

    def sample(self, label: int, n: int, generator: torch.Generator) -> Float[Tensor, "k c h w"]:
        """The images that ``draw`` chooses."""
        return self.images[copy_to(self.draw(label, n, generator), self.labels.device)]

    def denormalize(self, images: Float[Tensor, "k c h w"]) -> Float[Tensor, "k c h w"]:
        """images · std + mean, clamped to [0, 1]: what can be shown."""
        mean, std = (images.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (images * std + mean).clamp(0, 1)


def load(spec: str, size: int | None = None, device: str | torch.device = "cpu") -> Dataset:
    """Load a dataset onto ``device``, decoding (or downloading) it first if nobody has.

    Args:
        spec: a name of ``data.names()`` or ``imagefolder:PATH``.
        size: height and width in pixels; None: the dataset's own.
        device: where its tensors live.

    Raises:
        UserError: no such dataset; a folder that cannot be read as one; a size below 4; no network; no space.
    """
    row = store.row(spec, size)
    stored = store.stored(row)
    raw, header = stored.raw, stored.header
    return Dataset(
        name=row.name,
        classes=raw.classes,
        mean=header.mean,
        std=header.std,
        images=on_device(raw.images, header.mean, header.std, device),
        labels=raw.labels.to(device),
        test_images=on_device(raw.test_images, header.mean, header.std, device),
        test_labels=raw.test_labels.to(device),
        checksum=stored.checksum,
    )


class PackedImages:
    """Images that are kept as bytes and normalized on access: the same numbers, bit for bit, in a quarter of the space.

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
        return normalized(self._pixels[index], self._mean, self._std)

    def split(self, size: int) -> Iterator[Float[Tensor, "k c h w"]]:
        """One after the other, batches of ``size`` images; the last may be smaller."""
        return (self[start : start + size] for start in range(0, len(self), size))


Images = Tensor | PackedImages
"""Normalized images [n, c, h, w] behind one set of operations (see ``PackedImages``)."""


def on_device(
    pixels: UInt8[Tensor, "n c h w"], mean: tuple[float, ...], std: tuple[float, ...], device: str | torch.device
) -> Images:
    """(pixel / 255 − mean) / std, as floats if these take at most ``FLOATS_UP_TO`` bytes."""
    there = pixels.to(device)  # the bytes travel, not the floats
    if pixels.numel() * torch.float32.itemsize > FLOATS_UP_TO:
        return PackedImages(there, mean, std)
    return normalized(there, mean, std)


def normalized(
    pixels: UInt8[Tensor, "*n c h w"], mean: tuple[float, ...], std: tuple[float, ...]
) -> Float[Tensor, "*n c h w"]:
    """(pixel / 255 − mean) / std for each channel, in float32."""
    images = pixels.to(torch.float32)
    center, spread = (torch.tensor(values, device=images.device)[:, None, None] for values in (mean, std))
    return images.div_(255).sub_(center).div_(spread)  # in place: one float copy at a time
