"""Image folders: decoding a tree of files to raw pixels."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from ddsweep import rng, text
from ddsweep.data import duplicates, image_files, pixels, progress
from ddsweep.data.raw import Raw
from ddsweep.errors import UserError
from ddsweep.registry.datasets import DatasetInfo
from ddsweep.registry.image_folders import FolderTree, folder_tree, held_out

log = logging.getLogger(__name__)

BATCH = 256  # files per task of the thread pool

Files = dict[str, tuple[str, ...]]


def decode_folder(row: DatasetInfo, paths: Sequence[Path] = ()) -> Raw:
    """Read every image of the folder as RGB, resized to ``row.size`` pixels (``image_files.read``).

    Raises:
        UserError: the folder's layout is invalid (``folder_tree``), or a file is not a readable 8-bit image.
    """
    tree = folder_tree(row.name)
    train, test = _parts(tree)
    total = sum(len(images) for part in (train, test) for images in part.values())
    odd = image_files.Odd()
    first = _read_all(train, row, 0, total, odd)
    second = _read_all(test, row, len(first[0]), total, odd)
    raw = Raw(tuple(train), *first, *second, *_attributes(tree, train, test))
    if odd.animated:
        frames = text.plural(len(odd.animated), "animated file")
        log.warning("%s: the first frame of %s is used; for example %r", row.name, frames, min(odd.animated))
    if odd.cut:
        cut = text.plural(len(odd.cut), "JPEG file")
        line = "%s: the last row of %s is plain gray, as if the end of the data were lost; for example %r"
        log.warning(line, row.name, cut, min(odd.cut))
    for remark in duplicates.remarks(raw, *([path for one in part.values() for path in one] for part in (train, test))):
        log.warning("%s: %s", row.name, remark)
    return raw


def _parts(tree: FolderTree) -> tuple[Files, Files]:
    """Training and test files by class.

    A tree without a test split is split by a fixed permutation of each class, which is the same on every machine.
    """
    if tree.test is not None:
        return tree.train, tree.test
    train: Files = {}
    test: Files = {}
    for name, paths in tree.train.items():
        # ascii(), because the name of a folder need not be valid Unicode
        order = torch.randperm(len(paths), generator=rng.generator(0, "imagefolder", "split", ascii(name)))
        held = {int(index) for index in order[: held_out(len(paths))]}
        test[name] = tuple(path for index, path in enumerate(paths) if index in held)
        train[name] = tuple(path for index, path in enumerate(paths) if index not in held)
    return train, test


def _attributes(tree: FolderTree, *parts: Files) -> list[Int64[Tensor, " n"]]:
    """The attributes of the images of each split, numbered in the order of their names; empty without attributes."""
    own = tree.attributes
    if own is None:
        return []
    numbers = {name: number for number, name in enumerate(sorted(set(own.values())))}
    return [torch.tensor([numbers[own[path]] for paths in part.values() for path in paths]) for part in parts]


def _read_all(
    part: Files, row: DatasetInfo, before: int, total: int, odd: image_files.Odd
) -> tuple[UInt8[Tensor, "n 3 size size"], Int64[Tensor, " n"]]:
    """Images and labels of a split; ``before`` of ``total`` images have been read for another one."""
    paths = [path for images in part.values() for path in images]
    images = torch.empty((len(paths), 3, row.size, row.size), dtype=torch.uint8)
    buffer = images.numpy()  # shares the tensor's memory; the threads write to it

    def read(start: int) -> int:
        batch = paths[start : start + BATCH]
        for index, path in enumerate(batch, start):
            try:
                buffer[index] = image_files.read(path, row.size, odd)
            except pixels.Unreadable as error:
                raise _unreadable(path, error) from error
        return start + len(batch)

    with image_files.silenced(), ThreadPoolExecutor() as pool:
        for done in pool.map(read, range(0, len(paths), BATCH)):  # a failure cancels the tasks that have not started
            progress.decoded(row.name, before + done, total)
    counts = torch.tensor([len(one) for one in part.values()])
    return images, torch.arange(len(counts)).repeat_interleave(counts)


def _unreadable(path: str, error: Exception) -> UserError:
    return UserError(f"imagefolder: cannot read {path!r}: {pixels.reason(error)}")
