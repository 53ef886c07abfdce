"""The dataset as the data plane uses it: normalized images on a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from ddsweep.data import decoded, store
from ddsweep.data import zca as zca_whitening
from ddsweep.data.bias.attributes import usual
from ddsweep.data.pixels import denormalized
from ddsweep.data.zca import Whitening
from ddsweep.errors import UserError
from ddsweep.registry.datasets import FULL_STRATEGY, info, is_biased
from ddsweep.rng import copy_to

FLOATS_UP_TO = 1 << 30  # bytes of float32; CIFAR-10 (0.6 GB) and SVHN (0.9 GB) are below, Tiny ImageNet is above


@dataclass(frozen=True, eq=False)
class Dataset:
    """All images of a dataset on one device; a batch is taken by indexing.

    Attributes:
        name: the name in a recipe; for an image folder, with its absolute path.
        classes: names in label order.
        mean: per-channel mean that was subtracted, in units of [0, 1].
        std: per-channel standard deviation that was divided by.
        images: [n, c, h, w] training images, normalized: (pixel / 255 − mean) / std. A tensor or, if that would be
            large, ``PackedImages``; both return floats for images[indices] and images.split(size).
        labels: labels of the training images.
        test_images: [m, c, h, w] test images, normalized likewise.
        test_labels: labels of the test images.
        checksum: SHA-256 of classes, mean, std, pixels and attributes; datasets with equal checksums are equal.
        attributes: of a biased dataset, the attributes of the training images (color, background, …), numbered from 0.
        test_attributes: those of the test images.
        made: what the images of a biased dataset were made from; empty: it is not made here.
        whitening: the ZCA whitening that ``images`` and ``test_images`` have instead of the normalization; None: they
            are normalized.
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
    attributes: Int64[Tensor, " n"] | None = None
    test_attributes: Int64[Tensor, " m"] | None = None
    made: str = ""
    whitening: Whitening | None = None

    @property
    def strategy(self) -> str:
        """The augmentation operations that preserve labels, joined by ``_``; all of them if the dataset has no row."""
        try:
            return info(self.name).strategy
        except UserError:
            return FULL_STRATEGY

    @property
    def channels(self) -> int:
        """The number of channels, 1 or 3."""
        return self.images.shape[1]

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return self.images.shape[-1]

    @cached_property
    def test_aligned(self) -> Bool[Tensor, " m"] | None:
        """Whether each test image is aligned: it has the attribute of its class. None for a dataset without attributes.

        In a dataset that ddsweep made, attribute y is that of class y; in an image folder, a class has the most
        frequent attribute of its training images.
        """
        if self.attributes is None or self.test_attributes is None:
            return None
        own = torch.arange(len(self.classes))
        if not is_biased(self.name):
            own = usual(self.attributes.cpu(), self.labels.cpu(), len(self.classes))
        return self.test_attributes == own.to(self.test_labels.device)[self.test_labels]

    @cached_property
    def per_class(self) -> tuple[Int64[Tensor, " k"], ...]:
        """Ascending indices of each class's training images, on the CPU so that sampling does not stall the device."""
        labels = self.labels.cpu()
        counts = torch.bincount(labels, minlength=len(self.classes))
        return torch.argsort(labels, stable=True).split(counts.tolist())

    def first(self, label: int, n: int) -> Int64[Tensor, " n"]:
        """Return the indices, on the CPU, of the first ``n`` training images of a class, or of all if it has fewer.

        With attributes, they are spread evenly: a biased dataset is sorted by attribute, and its first images have one.
        """
        members = self.per_class[label]
        step = 1 if self.attributes is None else max(1, len(members) // n)
        return members[::step][:n]

    def draw(self, label: int, n: int, generator: torch.Generator) -> Int64[Tensor, " k"]:
        """Sample indices, on the CPU, of ``n`` distinct training images of a class, or of all if it has fewer.

        Args:
            label: the class.
            n: the number of images.
            generator: a CPU generator, so that the same images are drawn for every device.
        """
        members = self.per_class[label]
        return members[torch.randperm(len(members), generator=generator)[:n]]

    def sample(self, label: int, n: int, generator: torch.Generator) -> Float[Tensor, "k c h w"]:
        """The images at the indices that ``draw`` returns."""
        return self.images[copy_to(self.draw(label, n, generator), self.labels.device)]

    def denormalize(self, images: Float[Tensor, "k c h w"]) -> Float[Tensor, "k c h w"]:
        """Return pixels clamped to [0, 1] for display: images · std + mean, or the inverse of the whitening."""
        if self.whitening is not None:
            return self.whitening.to(images.device).invert(images).clamp(0, 1)
        return denormalized(images, self.mean, self.std)


def load(spec: str, size: int | None = None, device: str | torch.device = "cpu", zca: bool = False) -> Dataset:
    """Load a dataset onto ``device``, downloading and decoding it first if the cache does not have it.

    Args:
        spec: a name from ``data.names()``, or ``imagefolder:PATH``.
        size: height and width in pixels; None for the dataset's own size.
        device: the device of the tensors.
        zca: whiten the images (``zca``) instead of normalizing them.

    Raises:
        UserError: unknown dataset, a folder that is not a valid image folder, a size below 4, no network connection, or
            not enough disk space.
    """
    row = decoded.row(spec, size)
    stored = store.stored(row)
    raw, header = stored.raw, stored.header
    whitening = zca_whitening.of(row, stored).to(device) if zca else None
    return Dataset(
        name=row.name,
        classes=raw.classes,
        mean=header.mean,
        std=header.std,
        images=on_device(raw.images, header.mean, header.std, device, whitening),
        labels=raw.labels.to(device),
        test_images=on_device(raw.test_images, header.mean, header.std, device, whitening),
        test_labels=raw.test_labels.to(device),
        checksum=stored.checksum,
        attributes=None if raw.attributes is None else raw.attributes.to(device),
        test_attributes=None if raw.test_attributes is None else raw.test_attributes.to(device),
        made=header.origin if row.bias else "",
        whitening=whitening,
    )


class PackedImages:
    """Images stored as bytes, and normalized or whitened on access: the same values in a quarter of the memory.

    Each access returns a new float32 tensor. The interface is a subset of Tensor's: images[indices], len, split, shape,
    device and dtype.
    """

    dtype = torch.float32

    def __init__(
        self,
        pixels: UInt8[Tensor, "n c h w"],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        whitening: Whitening | None = None,
    ) -> None:
        self._pixels, self._mean, self._std, self._whitening = pixels, mean, std, whitening

    @property
    def shape(self) -> torch.Size:
        """[n, c, h, w]."""
        return self._pixels.shape

    @property
    def device(self) -> torch.device:
        """The device of the bytes and of the float tensors that are made from them."""
        return self._pixels.device

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: Any) -> Float[Tensor, "*k c h w"]:
        """The images at an index along the first axis: an integer, a slice, an index tensor or a boolean mask."""
        if self._whitening is not None:
            return self._whitening(as_floats(self._pixels[index]))
        return normalized(self._pixels[index], self._mean, self._std)

    def split(self, size: int) -> Iterator[Float[Tensor, "k c h w"]]:
        """Iterate over batches of ``size`` images; the last one may be smaller."""
        return (self[start : start + size] for start in range(0, len(self), size))


Images = Tensor | PackedImages
"""Normalized images [n, c, h, w] with one common interface (see ``PackedImages``)."""


def on_device(
    pixels: UInt8[Tensor, "n c h w"],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    device: str | torch.device,
    whitening: Whitening | None = None,
) -> Images:
    """Return normalized or whitened images: a float tensor of at most ``FLOATS_UP_TO`` bytes, else ``PackedImages``."""
    there = pixels.to(device)  # transfers bytes, a quarter of the size of the floats
    if pixels.numel() * torch.float32.itemsize > FLOATS_UP_TO:
        return PackedImages(there, mean, std, whitening)
    return normalized(there, mean, std) if whitening is None else whitening.in_place(as_floats(there))


def as_floats(pixels: UInt8[Tensor, "*n c h w"]) -> Float[Tensor, "*n c h w"]:
    """Return pixel / 255 in float32."""
    return pixels.to(torch.float32).div_(255)


def normalized(
    pixels: UInt8[Tensor, "*n c h w"], mean: tuple[float, ...], std: tuple[float, ...]
) -> Float[Tensor, "*n c h w"]:
    """Return (pixel / 255 − mean) / std per channel, in float32."""
    images = as_floats(pixels)
    center, spread = (torch.tensor(values, device=images.device)[:, None, None] for values in (mean, std))
    return images.sub_(center).div_(spread)  # in place, so that only one float copy exists at a time
