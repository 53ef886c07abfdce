"""Image folders: decoding a tree of files to raw pixels, and a fingerprint that detects a changed tree."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

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
VERSION = 2  # of the decoder; increase it when the pixels of a file or the files of a class change
SLOW = 1.0  # seconds that a hash may take without being remembered
PATIENCE = 10  # a slow hash is remembered for this multiple of the time that it took

Files = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Hash:
    """The fingerprint of a folder, when it was computed, and how long that took (both in seconds)."""

    value: str
    when: float
    seconds: float


_hashed: WeakKeyDictionary[FolderTree, _Hash] = WeakKeyDictionary()


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


def fingerprint(spec: str) -> str:
    """Hash of the folder's listing: split, class, name, size, modification time and attribute of every image file.

    A hash that took long, because there are very many files, is not computed again at once.

    Raises:
        UserError: as for ``folder_tree``, or if a file disappears meanwhile or is a broken link.
    """
    tree, began = folder_tree(spec), time.monotonic()
    known = _hashed.get(tree)
    if known and known.seconds > SLOW and began - known.when < PATIENCE * known.seconds:
        return known.value
    digest = hashlib.sha256(f"{VERSION}\0".encode())
    for part in (tree.train, tree.test or {}):
        for path in (path for paths in part.values() for path in paths):
            try:
                stat = os.stat(path)
            except OSError as error:
                raise _unreadable(path, error) from error
            digest.update(os.fsencode(path) + f"\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
        digest.update(b"\0")
    if tree.attributes is not None:  # nothing is added for a folder without them, whose cache stays valid
        digest.update(ascii(sorted(tree.attributes.items())).encode())
    now = time.monotonic()
    _hashed[tree] = _Hash(digest.hexdigest(), now, now - began)
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
