"""Decoders, which turn a row of the dataset table into raw pixels: one function per dataset, named by its row.

A decoder is called once per dataset and size; its result is kept in the user's cache (``data/store.py``). The decoders
of downloaded datasets take the paths of the archives, in the order of the row, and read the publishers' file formats.
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

from ddsweep import rng
from ddsweep.data import archives, bundle, own_images, pixels, shapes, unpickle
from ddsweep.data.pixels import resized
from ddsweep.data.raw import PARTS, Parts, Raw, assembled
from ddsweep.errors import UserError
from ddsweep.plugins import Code, guards, resolve
from ddsweep.plugins.failure import describe
from ddsweep.registry.datasets import TABLE, DatasetInfo

Decoder = Callable[[DatasetInfo, Sequence[Path]], Raw | Parts]
"""Maps a row and the paths of its archives to images at ``row.size`` pixels or, as ``Parts``, at any size."""

SHAPES_TRAIN, SHAPES_TEST = 200, 100  # images per class
IDX_BYTES = 8  # the type code of unsigned bytes in an IDX file
DAMAGE = (
    OSError, EOFError, ValueError, TypeError, LookupError, NotImplementedError,
    tarfile.TarError, zipfile.BadZipFile, zlib.error, pixels.Unreadable,
)  # fmt: skip
"""The exceptions that readers raise for an archive that does not match its row."""


def decode(row: DatasetInfo) -> Raw:
    """Decode the dataset of ``row`` at ``row.size`` pixels.

    Raises:
        UserError: the images cannot be downloaded or read, or a plugin's images do not match its row (``own_images``).
    """
    paths = archives.obtain(row) if row.archives else []
    code = TABLE.code(row.name)
    try:
        return _own(row, paths, code) if code else assembled(row, resolve(row.source)(row, paths))
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        if code:
            raise UserError(f"{row.name} of the plugin {code.name}: {describe(error, code.path)}") from error
        if not (paths and isinstance(error, DAMAGE)):
            raise
        where = paths[0] if len(paths) == 1 else paths[0].parent
        raise UserError(f"{row.name}: cannot read {str(where)!r}: {pixels.reason(error)}") from error


def _own(row: DatasetInfo, paths: Sequence[Path], code: Code) -> Raw:
    """Return the images of a plugin's dataset, checked; what its function draws is the same on every host."""
    native = TABLE[row.name].size
    with guards.calling(code.name), rng.seeded_globals(0, "dataset", row.name, row.size):
        made = resolve(row.source)(row, paths)
    if isinstance(made, Raw | tuple | list) and (isinstance(made, Raw) or len(made) == PARTS):
        own_images.check_shapes(row, made, {row.size, native})
    raw = assembled(row, made)
    own_images.check(row, raw, row.size == native)
    return raw


def digits(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """8×8 pixels with values 0…16, enlarged; every third image of a class, in dataset order, is a test image."""
    from sklearn.datasets import load_digits

    bundled = load_digits()
    images = resized(torch.from_numpy(bundled.images)[:, None] * (255 / 16), row.size)
    labels = torch.from_numpy(bundled.target).to(torch.int64)
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(len(row.classes)):
        held_out[torch.nonzero(labels == label).flatten()[2::3]] = True
    return Raw(row.classes, images[~held_out], labels[~held_out], images[held_out], labels[held_out])


def drawn_shapes(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """``SHAPES_TRAIN`` training and ``SHAPES_TEST`` test images of each shape, drawn at ``row.size`` pixels."""
    train = shapes.draw(SHAPES_TRAIN, row.size, rng.generator(0, "shapes", "train"))
    test = shapes.draw(SHAPES_TEST, row.size, rng.generator(0, "shapes", "test"))
    return Raw(row.classes, *train, *test)


def mnist(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """MNIST and the datasets that are published in its format."""
    images, labels, test_images, test_labels = map(_read_idx, paths)
    return assembled(row, (images[:, None], labels, test_images[:, None], test_labels))


def _read_idx(path: Path) -> np.ndarray:
    """Read an IDX file: two zeros, type code, number of axes; each axis length as a big-endian int32; the bytes."""
    with gzip.open(path) as file:
        content = file.read()
    zeros, kind, axes = content[:2], content[2], content[3]
    if zeros != b"\0\0" or kind != IDX_BYTES:
        raise ValueError(f"{path.name} is not an IDX file of bytes")
    shape = np.frombuffer(content, ">i4", axes, offset=4)
    return np.frombuffer(bytearray(content), np.uint8, offset=4 + 4 * axes).reshape(shape)


def svhn(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """MATLAB files with X [32, 32, 3, n] and y [n, 1], in which the digit 0 has the label 10."""
    from scipy.io import loadmat  # type: ignore[import-untyped]

    parts = []
    for path in paths:
        content = loadmat(path, variable_names=("X", "y"))
        parts += [content["X"].transpose(3, 2, 0, 1), content["y"].flatten() % 10]
    return assembled(row, parts)


def pathmnist(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """MedMNIST's npz file; the validation images are not used, as in the paper's code."""
    with paths[0].open("rb") as file, np.load(file, allow_pickle=False) as content:
        train, train_labels, test, test_labels = (
            content[f"{part}_{kind}"] for part in ("train", "test") for kind in ("images", "labels")
        )
    return assembled(row, (train.transpose(0, 3, 1, 2), train_labels, test.transpose(0, 3, 1, 2), test_labels))


def cifar10(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """Five pickled batches of training images and one of test images."""
    train = [(paths[0], f"data_batch_{number}") for number in range(1, 6)]
    return _pickled(row, train, [(paths[0], "test_batch")], "labels")


def cifar100(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """One pickled batch of training images and one of test images, with the fine labels."""
    return _pickled(row, [(paths[0], "train")], [(paths[0], "test")], "fine_labels")


def imagenet32(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """Ten pickled batches of training images and one of the validation images, which serve as test images.

    Labels in the files start at 1.
    """
    train = [(paths[0], f"train_data_batch_{number}") for number in range(1, 11)]
    return _pickled(row, train, [(paths[1], "val_data")], "labels", first=1)


def _pickled(
    row: DatasetInfo,
    train: Sequence[tuple[Path, str]],
    test: Sequence[tuple[Path, str]],
    key: str,
    first: int = 0,
) -> Raw:
    """Decode pickled batches, each given by its archive and name.

    A batch is a dict {"data": [n, 3072] red, green and blue planes, key: labels that start at ``first``}.
    """
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
        parts += [np.concatenate(images), np.concatenate(labels)]  # briefly holds the pixels twice
    return assembled(row, parts)
