"""The images of a plugin's dataset, checked against its row before anything is computed from them.

What ddsweep's own decoders return is tested once and for all. A plugin's function is called on each host, and what is
wrong with its images would show in nothing but the accuracies.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from ddsweep.data.pixels import statistics
from ddsweep.data.raw import Raw
from ddsweep.registry.datasets import DatasetInfo

NEAR = 0.05  # between the mean and std that a row states and those that are measured, in units of [0, 1]
PARTS = ("training", "test")


def check_shapes(row: DatasetInfo, made: Raw | Sequence[Any], sizes: Collection[int]) -> None:
    """Check that the images have one square shape, of one of these sizes: what is resized would be stretched.

    Args:
        row: the row of the dataset.
        made: the result of the function, with arrays or tensors for images (anything else is left to ``assembled``).
        sizes: heights and widths in pixels.

    Raises:
        ValueError: they have not.
    """
    images = (made.images, made.test_images) if isinstance(made, Raw) else (made[0], made[2])
    for what, pixels in zip(PARTS, images, strict=True):
        if isinstance(pixels, list | tuple) and len(shapes := {tuple(getattr(one, "shape", ())) for one in pixels}) > 1:
            few = " and ".join(str(list(one)) for one in sorted(shapes)[:2])
            raise ValueError(f"its {what} images have different shapes, as {few}")
        shape = tuple(getattr(pixels, "shape", ()))
        if len(shape) != len("nchw") or shape[1] != row.channels:
            continue
        height, width = shape[2:]
        if height != width:
            raise ValueError(
                f"its {what} images are {height} pixels high and {width} wide; needed: square images, because others "
                "would be stretched; crop or pad them"
            )
        if height not in sizes:
            wanted = " or ".join(f"{one}×{one}" for one in sorted(sizes))
            raise ValueError(
                f"its {what} images have {height}×{height} pixels; needed: {wanted}, which is the size of its row (or "
                "the requested row.size); resize them, or state size"
            )


def check(row: DatasetInfo, raw: Raw, native: bool = True) -> None:
    """Check that the images are those that the row promises.

    Args:
        row: the row of the dataset.
        raw: its images, as ``assembled`` returns them.
        native: whether they have their native size, at which a row states mean and std.

    Raises:
        ValueError: other classes than the row's, a class without images, other numbers of images than the row states,
            images that are all equal or have only the values 0 and 1, or a mean or std far from those of the row.
    """
    if raw.classes != row.classes:
        raise ValueError(f"its classes are {_few(raw.classes)}; its row says {_few(row.classes)}")
    for what, labels in zip(PARTS, (raw.labels, raw.test_labels), strict=True):
        counts = torch.bincount(labels, minlength=len(row.classes))
        if not counts.min():
            raise ValueError(f"it has no {what} images of {row.classes[int(counts.argmin())]}")
    least = int(torch.bincount(raw.labels).min())
    if least != row.smallest_class:
        raise ValueError(f"it has {least} training images in its smallest class; its row says {row.smallest_class}")
    found = (len(raw.labels), len(raw.test_labels))
    if any(said not in (0, have) for said, have in zip(row.images, found, strict=True)):
        raise ValueError(f"it has {found[0]} and {found[1]} images; its row says {row.images[0]} and {row.images[1]}")
    _check_pixels(raw.images)
    if native:
        _check_statistics(row, raw.images)


def _check_pixels(images: Tensor) -> None:
    if len(images) > 1 and torch.equal(images, images[:1].expand_as(images)):
        raise ValueError("it has only equal images")
    if int(images.max()) <= 1:
        raise ValueError("its images have only the values 0 and 1; black is 0, white is 255")


def _check_statistics(row: DatasetInfo, images: Tensor) -> None:
    for name, said, found in zip(("mean", "std"), (row.mean, row.std), statistics(images), strict=True):
        if said and not all(abs(one - other) < NEAR for one, other in zip(said, found, strict=True)):
            raise ValueError(f"it has a {name} of {tuple(round(one, 4) for one in found)}; its row says {said}")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + ", …" * (len(names) > len(names[:4]))
