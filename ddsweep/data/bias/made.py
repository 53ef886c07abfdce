"""The decoder of the biased datasets: the images of the base, colored (gray digits) or corrupted (photos)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from ddsweep.data import progress, store
from ddsweep.data.bias import authors, colors, sources
from ddsweep.data.bias.attributes import assigned
from ddsweep.data.bias.corruptions import corrupted
from ddsweep.data.bias.draws import Draws
from ddsweep.data.raw import Raw, assembled
from ddsweep.registry.bias import ATTRIBUTES, SEVERITIES, Bias
from ddsweep.registry.datasets import DatasetInfo

SEED = 42  # the authors'
ALIGNS = (0.0, 0.1, 0.5, 0.8, 0.95, 1.0)  # of the authors' files, in the order in which they were made
REPORTED = 1000  # images between two reports of the progress

Part = tuple[UInt8[Tensor, "n c h w"], Int64[Tensor, " n"]]
"""Images of the base, and their attributes."""


def decode(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """Make the images of a biased dataset at the base's size, resized to ``row.size``; or read the authors' file.

    Raises:
        UserError: the base or the authors' file cannot be read; OpenCV is needed and not installed.
    """
    how = row.bias
    assert how is not None, "only the rows of biased datasets name this decoder"
    if file := sources.authors_file(row):
        return assembled(row, authors.read(row, file))
    base = store.stored(sources.base(how)).raw
    test = base.test_images, assigned(base.test_labels, how.test_align, ATTRIBUTES)
    train = base.images, assigned(base.labels, how.align, ATTRIBUTES)
    if base.images.shape[1] == 1:
        test_images, images = _colored(test, train, how)
    else:
        total = len(test[0]) + len(train[0])
        test_images = _corrupted(row, "test", test, 0, total)
        images = _corrupted(row, "train", train, len(test[0]), total)
    return assembled(row, Raw(row.classes, images, base.labels, test_images, base.test_labels, train[1], test[1]))


def _colored(test: Part, train: Part, how: Bias) -> tuple[Tensor, Tensor]:
    """The test and the training images, from the draws of the authors' file of this share and severity.

    The authors seed once and make a file for each share and severity, first its test and then its training images. The
    draws of earlier files are skipped. A share that they do not have gets the draws of the first file.
    """
    generator = torch.Generator().manual_seed(SEED)
    earlier = ALIGNS.index(how.align) * len(SEVERITIES) + how.severity - 1 if how.align in ALIGNS else 0
    for _ in range(earlier):
        colors.noise(len(test[0]) + len(train[0]), generator)
    first, second = (
        colors.colored(*part, how.severity, colors.noise(len(part[0]), generator)) for part in (test, train)
    )
    return first, second


def _corrupted(row: DatasetInfo, split: str, part: Part, before: int, total: int) -> UInt8[Tensor, "n 3 32 32"]:
    """The images of a split; ``before`` of ``total`` images have been made for another one.

    Each image has draws of its own, which depend on its place only, and not on the share or the severity.
    """
    assert row.bias is not None
    level = row.bias.severity + 1
    out = torch.empty_like(part[0])
    pixels, target = part[0].numpy(), out.numpy()
    for index, attribute in enumerate(part[1].tolist()):
        image = np.ascontiguousarray(pixels[index].transpose(1, 2, 0))
        target[index] = corrupted(image, attribute, level, Draws(SEED, row.bias.base, split, index)).transpose(2, 0, 1)
        if index % REPORTED == 0:
            progress.decoded(row.name, before + index, total)
    progress.decoded(row.name, before + len(out), total)
    return out
