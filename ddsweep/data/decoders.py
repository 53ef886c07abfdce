"""From a row of the table to raw pixels: one function a dataset, listed in ``DECODERS``.

A decoder is called once; what it returns is kept in the user's cache (``data/store.py``). Those of downloaded sets take
the paths of the archives, in the order of the row, and read them as their publishers wrote them.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from ddsweep import rng
from ddsweep.data import archives, bundle, photo, photos, shapes, unpickle
from ddsweep.data.folder import decode_folder
from ddsweep.data.pixels import resized
from ddsweep.data.raw import Raw
from ddsweep.data.table import DatasetInfo
from ddsweep.data.tree import FOLDER_PREFIX
from ddsweep.errors import UserError

Decoder = Callable[[DatasetInfo, Sequence[Path]], Raw]

SHAPES_TRAIN, SHAPES_TEST = 200, 100  # images of each class
IDX_BYTES = 8  # the type code of unsigned bytes in an IDX file
DAMAGE = (
    OSError, EOFError, ValueError, TypeError, LookupError, NotImplementedError,
    tarfile.TarError, zipfile.BadZipFile, zlib.error, photo.Unreadable,
)  # fmt: skip
"""What the readers raise when an archive is not what its row says."""


def decode(row: DatasetInfo) -> Raw:
    """Decode the dataset of ``row`` at ``row.size`` pixels.

    Raises:
        UserError: images that cannot be read, or downloaded.
    """
    if row.name.startswith(FOLDER_PREFIX):
        return decode_folder(row)
    paths = archives.obtain(row) if row.archives else []
    try:
        return DECODERS[row.name](row, paths)
    except DAMAGE as error:
        if not paths:
            raise
        where = paths[0] if len(paths) == 1 else paths[0].parent
        raise UserError(f"{row.name}: cannot read {str(where)!r}: {photo.reason(error)}") from error


def _digits(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """8×8 pixels of 0…16, enlarged; of each class every third image, in dataset order, is held out."""
    from sklearn.datasets import load_digits

    bundled = load_digits()
    images = resized(torch.from_numpy(bundled.images)[:, None] * (255 / 16), row.size)
    labels = torch.from_numpy(bundled.target).to(torch.int64)
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(len(row.classes)):
        held_out[torch.nonzero(labels == label).flatten()[2::3]] = True
    return Raw(row.classes, images[~held_out], labels[~held_out], images[held_out], labels[held_out])


def _shapes(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    train = shapes.draw(SHAPES_TRAIN, row.size, rng.generator(0, "shapes", "train"))
    test = shapes.draw(SHAPES_TEST, row.size, rng.generator(0, "shapes", "test"))
    return Raw(row.classes, *train, *test)


def _mnist(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    images, labels, test_images, test_labels = map(_read_idx, paths)
    return _raw(row, images[:, None], labels, test_images[:, None], test_labels)


def _read_idx(path: Path) -> np.ndarray:
    """IDX: two zeros, type code, number of axes; the length of each axis as a big-endian int32; the bytes."""
    with gzip.open(path) as file:
        content = file.read()
    zeros, kind, axes = content[:2], content[2], content[3]
    if zeros != b"\0\0" or kind != IDX_BYTES:
        raise ValueError(f"{path.name} is no IDX file of bytes")
    shape = np.frombuffer(content, ">i4", axes, offset=4)
    return np.frombuffer(bytearray(content), np.uint8, offset=4 + 4 * axes).reshape(shape)


def _svhn(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """MATLAB files: X [32, 32, 3, n], y [n, 1] in which the digit 0 is called 10."""
    from scipy.io import loadmat  # type: ignore[import-untyped]

    parts = []
    for path in paths:
        content = loadmat(path, variable_names=("X", "y"))
        parts += [content["X"].transpose(3, 2, 0, 1), content["y"].flatten() % 10]
    return _raw(row, *parts)


def _pathmnist(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """MedMNIST's npz; its validation images are not used, as in the paper's code."""
    with paths[0].open("rb") as file, np.load(file, allow_pickle=False) as content:
        train, train_labels, test, test_labels = (
            content[f"{part}_{kind}"] for part in ("train", "test") for kind in ("images", "labels")
        )
    return _raw(row, train.transpose(0, 3, 1, 2), train_labels, test.transpose(0, 3, 1, 2), test_labels)


def _cifar10(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    train = [(paths[0], f"data_batch_{number}") for number in range(1, 6)]
    return _pickled(row, train, [(paths[0], "test_batch")], "labels")


def _cifar100(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    return _pickled(row, [(paths[0], "train")], [(paths[0], "test")], "fine_labels")


def _imagenet32(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """Ten pickled batches and one of the validation images; their labels count from 1."""
    train = [(paths[0], f"train_data_batch_{number}") for number in range(1, 11)]
    return _pickled(row, train, [(paths[1], "val_data")], "labels", first=1)


def _pickled(
    row: DatasetInfo,
    train: Sequence[tuple[Path, str]],
    test: Sequence[tuple[Path, str]],
    key: str,
    first: int = 0,
) -> Raw:
    """Batches of {"data": [n, 3072] planes of red, green and blue, key: labels from ``first``}, by archive and name."""
    parts = []
    for batches in (train, test):
        images, labels = [], []
        for path, name in batches:
            with bundle.opened(path) as packed, packed.open(packed.find(name)) as file:
                batch = unpickle.load(file)
            images.append(np.asarray(batch["data"]).reshape(-1, 3, 32, 32))
            labels.append(np.asarray(batch[key], dtype=np.int64) - first)
            if len(images[-1]) != len(labels[-1]):
                raise ValueError(f"{name} has {len(images[-1])} images and {len(labels[-1])} labels")
        parts += [np.concatenate(images), np.concatenate(labels)]  # twice the pixels, for a moment
    return _raw(row, *parts)


def _raw(
    row: DatasetInfo, images: np.ndarray, labels: np.ndarray, test_images: np.ndarray, test_labels: np.ndarray
) -> Raw:
    """At the size of the row. Raises ValueError for a label without a class, and for anything that is no such image."""
    return Raw(row.classes, _images(row, images), _labels(row, labels), _images(row, test_images),
               _labels(row, test_labels))  # fmt: skip


def _images(row: DatasetInfo, pixels: np.ndarray) -> Tensor:
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1] != row.channels:
        raise ValueError(f"its images are {pixels.dtype} {pixels.shape}")
    return resized(torch.from_numpy(pixels), row.size)


def _labels(row: DatasetInfo, labels: np.ndarray) -> Int64[Tensor, " n"]:
    flat = torch.from_numpy(labels.astype(np.int64).flatten())
    if len(flat) == 0 or flat.min() < 0 or flat.max() >= len(row.classes):
        raise ValueError(f"its labels are not those of {len(row.classes)} classes")
    return flat


DECODERS: dict[str, Decoder] = {
    "digits": _digits,
    "shapes": _shapes,
    "mnist": _mnist,
    "fashionmnist": _mnist,
    "svhn": _svhn,
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "pathmnist": _pathmnist,
    "tinyimagenet": photos.tiny,
    "imagenet32": _imagenet32,
    "imagenette": photos.nette,
    "imagefruit": photos.fruit,
}
