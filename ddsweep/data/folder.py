"""Image folders: decoding a tree of files to raw pixels, and a fingerprint that detects a changed tree."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from ddsweep import rng
from ddsweep.data import pixels
from ddsweep.data.raw import Raw
from ddsweep.errors import UserError
from ddsweep.registry.datasets import DatasetInfo
from ddsweep.registry.image_folders import FolderTree, folder_tree, held_out

BATCH = 256  # files per task of the thread pool

Files = dict[str, tuple[Path, ...]]


def decode_folder(row: DatasetInfo, paths: Sequence[Path] = ()) -> Raw:
    """Read every image of the folder as RGB, resized to ``row.size`` pixels (``pixels.read``).

    Raises:
        UserError: the folder's layout is invalid (``folder_tree``), or a file is not a readable 8-bit image.
    """
    train, test = _parts(folder_tree(row.name))
    return Raw(tuple(train), *_read_all(train, row.size), *_read_all(test, row.size))


def fingerprint(spec: str) -> str:
    """Hash of the folder's listing: split, class, name, size and modification time of every image file.

    Raises:
        UserError: as for ``folder_tree``, or if a file disappears meanwhile or is a broken link.
    """
    tree, digest = folder_tree(spec), hashlib.sha256()
    for part in (tree.train, tree.test or {}):
        for path in (path for paths in part.values() for path in paths):
            try:
                stat = path.stat()
            except OSError as error:
                raise _unreadable(path, error) from error
            digest.update(os.fsencode(path) + f"\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
        digest.update(b"\0")
    return digest.hexdigest()


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


def _read_all(part: Files, size: int) -> tuple[UInt8[Tensor, "n 3 size size"], Int64[Tensor, " n"]]:
    paths = [path for paths in part.values() for path in paths]
    images = torch.empty((len(paths), 3, size, size), dtype=torch.uint8)
    buffer = images.numpy()  # shares the tensor's memory; the threads write to it

    def read(start: int) -> None:
        for index, path in enumerate(paths[start : start + BATCH], start):
            try:
                buffer[index] = pixels.read(path, size)
            except pixels.Unreadable as error:
                raise _unreadable(path, error) from error

    with ThreadPoolExecutor() as pool:
        list(pool.map(read, range(0, len(paths), BATCH)))  # the first failure cancels the tasks that have not started
    counts = torch.tensor([len(paths) for paths in part.values()])
    return images, torch.arange(len(counts)).repeat_interleave(counts)


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"imagefolder: cannot read {str(path)!r}: {pixels.reason(error)}")
