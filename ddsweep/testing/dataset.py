"""The contract of a dataset (``data.decoders.Decoder``)."""

from __future__ import annotations

import torch

from ddsweep import data
from ddsweep.data import cache
from ddsweep.data.decoders import decode
from ddsweep.data.pixels import statistics
from ddsweep.data.raw import Raw
from ddsweep.recipe import make
from ddsweep.registry.datasets import DatasetInfo, at_size
from ddsweep.testing.judging import own_randomness, require

NEAR = 0.05  # between the mean and std that a row states and those that are measured, in units of [0, 1]


def check_dataset(name: str) -> None:
    """Check that a dataset is what its row in the registry says.

    - Decoding it gives the same bytes every time, and draws nothing from a global random generator.
    - It has images of every class for training and for testing; the smallest class has as many as the row says.
    - The images differ from each other; mean and std are close to those of the row, if it states them.
    - It can be decoded at other sizes, and a recipe can distill it.

    Args:
        name: the dataset; its archives, if it has any, must have been downloaded.

    Raises:
        AssertionError: a check fails; the message names it.
        UserError: an unknown dataset, or a decoder that does not return images.
    """
    row, what = data.info(name), f"dataset {name!r}"
    raw = decode(row)
    with own_randomness(what):  # the second time: libraries that the first one imports may draw
        again = decode(row)
    for part in cache.TENSORS if raw.attributes is None else (*cache.TENSORS, *cache.ATTRIBUTES):
        require(
            torch.equal(getattr(raw, part), getattr(again, part)), what, f"decodes to different {part} the second time"
        )
    _check_classes(row, raw, what)
    _check_pixels(row, raw, what)
    smaller = at_size(row, max(4, row.size // 2))
    require(
        decode(smaller).images.shape[-1] == smaller.size,
        what,
        f"ignores the requested size of {smaller.size} pixels",
    )
    make({"target": name, "ipc": row.smallest_class, "alpha": 0, "method": "dm", "arch": "convnet1"})


def _check_classes(row: DatasetInfo, raw: Raw, what: str) -> None:
    require(len(raw.classes) == len(row.classes), what, f"has {len(raw.classes)} classes, its row {len(row.classes)}")
    for split, labels in (("training", raw.labels), ("test", raw.test_labels)):
        counts = torch.bincount(labels, minlength=len(raw.classes))
        require(bool(counts.min() > 0), what, f"has no {split} images of {raw.classes[int(counts.argmin())]}")
    least = int(torch.bincount(raw.labels).min())
    message = f"has {least} training images in its smallest class; its row says {row.smallest_class}"
    require(least == row.smallest_class, what, message)
    sizes = (len(raw.labels), len(raw.test_labels))
    message = f"has {sizes[0]} and {sizes[1]} images; its row says {row.images[0]} and {row.images[1]}"
    require(all(not said or said == found for said, found in zip(row.images, sizes, strict=True)), what, message)


def _check_pixels(row: DatasetInfo, raw: Raw, what: str) -> None:
    first = raw.images[:1]
    differ = len(raw.images) < 2 or not torch.equal(raw.images, first.expand_as(raw.images))
    require(differ, what, "has only equal images")
    for name, said, found in zip(("mean", "std"), (row.mean, row.std), statistics(raw.images), strict=True):
        near = said is None or all(abs(one - other) < NEAR for one, other in zip(said, found, strict=True))
        require(near, what, f"has a {name} of {tuple(round(one, 4) for one in found)}; its row says {said}")
