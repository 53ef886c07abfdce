"""The dataset as the data plane uses it: normalised images on a device."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from ddsweep import files
from ddsweep.data import cache
from ddsweep.data.decoders import decode
from ddsweep.data.folder import fingerprint
from ddsweep.data.pixels import statistics
from ddsweep.data.table import FOLDER_PREFIX, DatasetInfo, at_size, info

log = logging.getLogger(__name__)

VERSION = 1  # of the decoders: raise it when one of them gives other pixels, and nobody keeps the old ones


@dataclass(frozen=True, eq=False)
class Dataset:
    """All images of a dataset on one device; a batch is an index.

    Attributes:
        name: as in a recipe; of an image folder, with its absolute path.
        classes: names in label order.
        mean: per-channel mean that was subtracted, in units of [0, 1].
        std: per-channel standard deviation that was divided by.
        images: training images, normalised: (pixel / 255 − mean) / std.
        labels: of the training images.
        test_images: normalised like the training images.
        test_labels: of the test images.
        checksum: SHA-256 of classes, mean, std and the pixels; equal checksums are equal datasets.
    """

    name: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    images: Float[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    test_images: Float[Tensor, "m c h w"]
    test_labels: Int64[Tensor, " m"]
    checksum: str

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
        """Indices of the training images of each class, ascending, on the dataset's device."""
        counts = torch.bincount(self.labels, minlength=len(self.classes))
        return torch.argsort(self.labels, stable=True).split(counts.tolist())

    def sample(self, label: int, n: int, generator: torch.Generator) -> Float[Tensor, "k c h w"]:
        """``n`` distinct training images of a class at random, or all of them when it has fewer.

        Args:
            label: the class.
            n: how many images are wanted.
            generator: on the CPU, so that every device draws the same images.
        """
        members = self.per_class[label]
        chosen = torch.randperm(len(members), generator=generator)[:n]
        return self.images[members[chosen.to(members.device)]]

    def denormalise(self, images: Float[Tensor, "k c h w"]) -> Float[Tensor, "k c h w"]:
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
    row = _row(spec, size)
    stored = _stored(row)
    raw, header = stored.raw, stored.header
    return Dataset(
        name=row.name,
        classes=raw.classes,
        mean=header.mean,
        std=header.std,
        images=_normalised(raw.images, header, device),
        labels=raw.labels.to(device),
        test_images=_normalised(raw.test_images, header, device),
        test_labels=raw.test_labels.to(device),
        checksum=stored.checksum,
    )


def prepare(spec: str, size: int | None = None) -> Path:
    """Decode a dataset into the user's cache unless it is there, intact and up to date; return the file.

    However many processes ask at once, one of them decodes and the others wait for it.

    Raises:
        UserError: as ``load``.
    """
    row = _row(spec, size)
    _stored(row)
    return _cache_file(row)


def is_prepared(spec: str, size: int | None = None) -> bool:
    """Whether somebody has decoded the dataset before; a folder may have changed since."""
    return _cache_file(_row(spec, size)).is_file()


def _row(spec: str, size: int | None) -> DatasetInfo:
    row = info(spec)
    return row if size is None else at_size(row, size)


def _normalised(
    pixels: UInt8[Tensor, "n c h w"], header: cache.Header, device: str | torch.device
) -> Float[Tensor, "n c h w"]:
    images = pixels.to(device).to(torch.float32)  # the bytes travel, not the floats
    mean, std = (images.new_tensor(values)[:, None, None] for values in (header.mean, header.std))
    return images.div_(255).sub_(mean).div_(std)  # in place: one float copy of the dataset at a time


def _cache_file(row: DatasetInfo) -> Path:
    name = row.name
    if name.startswith(FOLDER_PREFIX):
        path = name.removeprefix(FOLDER_PREFIX)
        readable = re.sub(r"[^A-Za-z0-9._-]", "_", Path(path).name)[:40]
        name = f"imagefolder-{readable}-{hashlib.sha256(ascii(path).encode()).hexdigest()[:12]}"
    return files.cache_dir() / "data" / f"{name}-{row.size}.safetensors"


def _fingerprint(row: DatasetInfo) -> str:
    """Of everything that decides what decoding ``row`` gives."""
    listing = fingerprint(row.name) if row.name.startswith(FOLDER_PREFIX) else None
    facts = [VERSION, ascii(row.name), row.size, row.mean, row.std, listing]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _stored(row: DatasetInfo) -> cache.Stored:
    path, wanted = _cache_file(row), _fingerprint(row)
    with contextlib.suppress(cache.Damaged):  # looked at again below, under the lock
        if stored := cache.read(path, wanted):
            return stored
    with files.lock(path.with_suffix(".lock")):
        try:
            if stored := cache.read(path, wanted):
                return stored
        except cache.Damaged as error:
            aside = path.with_suffix(".damaged")
            path.replace(aside)
            log.warning("%s is damaged (%s): set aside as %s, and decoded again", path, error, aside.name)
        log.info("decoding %s at %d×%d into %s", row.name, row.size, row.size, path)
        raw = decode(row)
        mean, std = statistics(raw.images) if row.mean is None or row.std is None else (row.mean, row.std)
        return cache.write(path, raw, cache.Header(mean, std, wanted, row.origin))
