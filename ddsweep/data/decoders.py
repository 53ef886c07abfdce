"""From a row of the table to raw pixels: one function a dataset, listed in ``DECODERS``.

A decoder is called once; what it returns is kept in the user's cache (``data/cache.py``).
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any

import torch

from ddsweep import files, rng
from ddsweep.data import shapes
from ddsweep.data.folder import decode_folder
from ddsweep.data.pixels import resized
from ddsweep.data.raw import Raw
from ddsweep.data.table import FOLDER_PREFIX, DatasetInfo
from ddsweep.errors import UserError

Decoder = Callable[[DatasetInfo], Raw]

SHAPES_TRAIN, SHAPES_TEST = 200, 100  # images of each class


def decode(row: DatasetInfo) -> Raw:
    """Decode the dataset of ``row`` at ``row.size`` pixels.

    Raises:
        UserError: images that cannot be read, or downloaded.
    """
    return decode_folder(row) if row.name.startswith(FOLDER_PREFIX) else DECODERS[row.name](row)


def _digits(row: DatasetInfo) -> Raw:
    """8×8 pixels of 0…16, enlarged; of each class every third image, in dataset order, is held out."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    images = resized(torch.from_numpy(bundle.images)[:, None] * (255 / 16), row.size)
    labels = torch.from_numpy(bundle.target).to(torch.int64)
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(len(row.classes)):
        held_out[torch.nonzero(labels == label).flatten()[2::3]] = True
    return Raw(row.classes, images[~held_out], labels[~held_out], images[held_out], labels[held_out])


def _shapes(row: DatasetInfo) -> Raw:
    train = shapes.draw(SHAPES_TRAIN, row.size, rng.generator(0, "shapes", "train"))
    test = shapes.draw(SHAPES_TEST, row.size, rng.generator(0, "shapes", "test"))
    return Raw(row.classes, *train, *test)


def _cifar10(row: DatasetInfo) -> Raw:
    from torchvision.datasets import CIFAR10

    return _cifar(row, CIFAR10)


def _cifar100(row: DatasetInfo) -> Raw:
    from torchvision.datasets import CIFAR100

    return _cifar(row, CIFAR100)


def _cifar(row: DatasetInfo, source: Any) -> Raw:
    """``source``: the class of torchvision, which downloads the archive and checks the md5 of every file it reads."""
    root = files.cache_dir() / "data" / "torchvision"
    try:
        parts = [source(root, train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        raise UserError(
            f"{row.name}: cannot download it ({error}); without a network, put {source.filename} from {source.url} "
            f"(md5 {source.tgz_md5}) into {root}"
        ) from error
    images = [resized(torch.from_numpy(part.data).permute(0, 3, 1, 2), row.size) for part in parts]
    labels = [torch.tensor(part.targets) for part in parts]
    return Raw(row.classes, images[0], labels[0], images[1], labels[1])


DECODERS: dict[str, Decoder] = {"digits": _digits, "shapes": _shapes, "cifar10": _cifar10, "cifar100": _cifar100}
