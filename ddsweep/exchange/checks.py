"""Checks of the images and labels in a file; each error is one line."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ddsweep.errors import UserError
from ddsweep.exchange import source
from ddsweep.exchange.image_set import ImageSet
from ddsweep.registry.datasets import MIN_SIZE

SHOWN = 5  # class names in a message
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
WHOLE = (torch.int64, torch.int32, torch.int16, torch.uint8, torch.int8)


def images(one: ImageSet, path: Path) -> None:
    """Check that images are dense, square and finite, with one or three channels, and fit into memory.

    Raises:
        UserError: they are not.
    """
    found = one.images
    if found.layout is not torch.strided or found.is_quantized or found.dtype not in (*FLOATS, torch.uint8):
        kind = str(found.dtype).removeprefix("torch.")
        dense = "" if found.layout is torch.strided else "sparse "
        raise UserError(f"{path}: images are {dense}{kind} (allowed: float32 and other floats, uint8)")
    shape = "x".join(map(str, found.shape))
    if found.ndim != 4 or found.shape[1] not in (1, 3) or found.shape[2] != found.shape[3]:
        raise UserError(f"{path}: images are {shape}, not n x 1 or 3 channels x size x size")
    if not len(found) or found.shape[2] < MIN_SIZE:
        raise UserError(f"{path}: images are {shape}; needed: at least one image, of at least {MIN_SIZE} pixels")
    source.check_weight(found.numel() * 8, path)  # a small file can declare a huge tensor
    if not torch.isfinite(found.float()).all():
        bad = int((~torch.isfinite(found.float())).flatten(1).any(1).sum())
        raise UserError(f"{path}: {bad} of {len(found)} images have values that are NaN or infinite")


def labels(one: ImageSet, classes: int, hard: bool, path: Path) -> Tensor:
    """Return the class index of each image, [n] int64.

    Without labels in the file, images are taken as class-major. Class weights become the class of the largest weight.

    Raises:
        UserError: the number of labels differs from the number of images, a label is not a valid class, or labels are
            learned class weights and ``hard`` is false.
    """
    n, found = len(one.images), one.labels
    if found is None:
        if n % classes:
            raise UserError(f"{path}: has no labels, and {n} images is not a multiple of {classes} classes")
        return torch.arange(classes).repeat_interleave(n // classes)
    if found.layout is not torch.strided or len(found) != n:
        raise UserError(f"{path}: {n} images, but labels for {len(found)}")
    if found.ndim == 2 and found.shape[1] > 1:
        return _hardened(found, classes, hard, path)
    if found.dtype not in WHOLE or found.ndim > 2:
        kind = str(found.dtype).removeprefix("torch.")
        raise UserError(f"{path}: labels are {kind} of {found.ndim} axes, not whole numbers of classes")
    flat = found.reshape(-1).long()
    if int(flat.min()) < 0 or int(flat.max()) >= classes:
        low, high = int(flat.min()), int(flat.max())
        raise UserError(
            f"{path}: labels are {low} to {high}, but the dataset has {classes} classes, 0 to {classes - 1}"
        )
    return flat


def _hardened(weights: Tensor, classes: int, hard: bool, path: Path) -> Tensor:
    if weights.shape[1] != classes:
        raise UserError(f"{path}: labels are weights of {weights.shape[1]} classes, but the dataset has {classes}")
    if not torch.isfinite(weights.float()).all():
        raise UserError(f"{path}: labels have values that are NaN or infinite")
    one_hot = bool(((weights == weights.amax(1, keepdim=True)).sum(1) == 1).all()) and len(weights.unique()) == 2
    if not (one_hot or hard):
        allowed = "--hard-labels takes the class of the largest weight"
        raise UserError(
            f"{path}: labels are learned class weights, on which ddsweep does not train networks; {allowed}"
        )
    return weights.argmax(1)


def per_class(labels: Tensor, names: tuple[str, ...], path: Path) -> int:
    """Return the number of images per class. Raises UserError if classes have different numbers of images."""
    counts = torch.bincount(labels, minlength=len(names))
    if (counts == 0).any() and len(counts[counts > 0].unique()) == 1:
        lacking = [name for name, count in zip(names, counts.tolist(), strict=True) if not count]
        more = f", … ({len(lacking)} in all)" if len(lacking) > SHOWN else ""
        raise UserError(f"{path}: has no images of {', '.join(map(repr, lacking[:SHOWN]))}{more}")
    usual = int(counts.median())
    if (counts != usual).any():
        odd = int((counts != usual).nonzero()[0])
        raise UserError(f"{path}: class {odd} ({names[odd]}) has {int(counts[odd])} images, others {usual}")
    return usual
