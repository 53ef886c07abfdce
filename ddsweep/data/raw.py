"""The result of a decoder: uint8 images and labels on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from ddsweep.data.pixels import resized
from ddsweep.registry.datasets import DatasetInfo

Array = Any
PARTS = 4
Parts = tuple[Array, Array, Array, Array]
"""Images, labels, test images and test labels as NumPy arrays or tensors; pixels as in ``Raw``, at any size."""


@dataclass(frozen=True, eq=False)
class Raw:
    """A decoded dataset: pixels in 0…255 on the CPU, in dataset order.

    Attributes:
        classes: names in label order.
        images: training images.
        labels: labels of the training images.
        test_images: test images.
        test_labels: labels of the test images.
        attributes: of a biased dataset, the attributes of the training images, which are numbered from 0.
        test_attributes: those of the test images; there are none, or both.
    """

    classes: tuple[str, ...]
    images: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    test_images: UInt8[Tensor, "m c h w"]
    test_labels: Int64[Tensor, " m"]
    attributes: Int64[Tensor, " n"] | None = None
    test_attributes: Int64[Tensor, " m"] | None = None


def assembled(row: DatasetInfo, made: Raw | Sequence[Array]) -> Raw:
    """Check the result of a decoder and resize it to the size of the row.

    Raises:
        ValueError: the result does not match the row: another number of channels, pixels that are not bytes, labels
            without a class, images without a label, or attributes of only some of the images.
    """
    if isinstance(made, Raw):
        classes, parts = made.classes, (made.images, made.labels, made.test_images, made.test_labels)
    elif isinstance(made, tuple | list) and len(made) == PARTS:
        classes, parts = row.classes, tuple(made)
    else:
        raise ValueError("it must return images, labels, test images, test labels (or a Raw)")
    found: list[Tensor] = []
    for what, images, labels in (("training", *parts[:2]), ("test", *parts[2:])):
        found += [_images(row, what, images), _labels(len(classes), what, labels)]
        if len(found[-2]) != len(found[-1]):
            raise ValueError(f"it has {len(found[-2])} {what} images and {len(found[-1])} labels of them")
    if found[0].untyped_storage().data_ptr() == found[2].untyped_storage().data_ptr():  # see _labels
        found[2] = found[2].clone()
    return _with_attributes(Raw(classes, found[0], found[1], found[2], found[3]), made)


def _with_attributes(raw: Raw, made: Raw | Sequence[Array]) -> Raw:
    found = (made.attributes, made.test_attributes) if isinstance(made, Raw) else (None, None)
    if found == (None, None):
        return raw
    attributes = []
    for what, values, labels in (("training", found[0], raw.labels), ("test", found[1], raw.test_labels)):
        own = _tensor(values)
        if own is None or own.is_floating_point() or own.shape != labels.shape or own.min() < 0:
            raise ValueError(f"its {what} attributes are {_form(values)}; needed: a whole number from 0 for each image")
        attributes.append(own.to(torch.int64).clone())
    return replace(raw, attributes=attributes[0], test_attributes=attributes[1])


def _images(row: DatasetInfo, what: str, pixels: Array) -> UInt8[Tensor, "n c h w"]:
    found = _tensor(pixels)
    if found is None or found.dtype != torch.uint8 or found.ndim != 4 or found.shape[1] != row.channels:
        raise ValueError(
            f"its {what} images are {_form(pixels)}; needed: uint8 [n, {row.channels}, h, w], black is 0, white is 255"
        )
    return resized(found, row.size)


def _labels(classes: int, what: str, labels: Array) -> Int64[Tensor, " n"]:
    found = _tensor(labels)
    if found is None or found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise ValueError(f"its {what} labels are {_form(labels)}; needed: whole numbers from 0")
    found = found.to(torch.int64).flatten().clone()  # tensors of one file may share memory, which the cache cannot
    if len(found) == 0 or found.min() < 0 or found.max() >= classes:
        raise ValueError(f"its {what} labels are not those of {classes} classes")
    return found


def _tensor(values: Array) -> Tensor | None:
    if isinstance(values, Tensor):
        return values.detach().cpu()
    if isinstance(values, list):
        values = np.asarray(values)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biufc":
        return None
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


def _form(values: Array) -> str:
    shape = list(values.shape) if hasattr(values, "shape") else ""
    return f"{str(getattr(values, 'dtype', type(values).__name__)).removeprefix('torch.')} {shape}".rstrip()
