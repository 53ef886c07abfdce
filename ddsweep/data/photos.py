"""Decoders of the datasets that are published as image files: Tiny ImageNet and the subsets of ImageNet-1k."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import torch

from ddsweep.data import pixels, progress
from ddsweep.data.bundle import Bundle, opened
from ddsweep.data.raw import Raw
from ddsweep.registry import classes
from ddsweep.registry.datasets import DatasetInfo

BATCH = 256  # files that are read sequentially, as an archive requires, and then decoded in parallel
SPLITS = ("train", "val")
WORDNET_ID = re.compile(r"n\d{8}")

Target = tuple[str, int]
"""The split and label of an image."""


def nette(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """Imagenette: ``train/WNID/*.JPEG`` and ``val/WNID/*.JPEG``, packed or unpacked."""
    return _by_wordnet_id(row, paths[0], classes.NETTE)


def fruit(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """ImageFruit: ten classes of an ImageNet-1k folder; the folders of the other classes are not listed."""
    return _by_wordnet_id(row, paths[0], classes.FRUIT)


def _by_wordnet_id(row: DatasetInfo, path: Path, wanted: Mapping[str, str]) -> Raw:
    labels = {wordnet_id: label for label, wordnet_id in enumerate(sorted(wanted))}
    with opened(path, lambda folder: WORDNET_ID.fullmatch(folder) is None or folder in labels) as bundle:
        targets: dict[str, Target] = {}
        for name in bundle.names:
            *_, split, folder, _ = ("", "", "", *PurePosixPath(name).parts)
            if split in SPLITS and folder in labels:
                targets[name] = split, labels[folder]
        return _decode(row, bundle, targets, row.classes)


def tiny(row: DatasetInfo, paths: Sequence[Path]) -> Raw:
    """Tiny ImageNet: its validation images, which are labeled, are the test set; labels follow the sorted WordNet ids.

    Layout: ``train/WNID/images/*.JPEG``, ``val/images/*.JPEG`` with ``val/val_annotations.txt`` (file, id, box), and
    the names of the ids in ``words.txt``.
    """
    with opened(paths[0]) as bundle:
        ids = sorted(_lines(bundle, "wnids.txt"))
        words = dict(line.split("\t", 1) for line in _lines(bundle, "words.txt"))
        boxes = dict(line.split("\t")[:2] for line in _lines(bundle, "val/val_annotations.txt"))
        labels = {wordnet_id: label for label, wordnet_id in enumerate(ids)}
        targets: dict[str, Target] = {}
        for name in bundle.names:
            *_, split, folder, inner, file = ("", "", "", *PurePosixPath(name).parts)
            if split == "train" and folder in labels and inner == "images":
                targets[name] = "train", labels[folder]
            elif (folder, inner) == ("val", "images") and file in boxes:
                targets[name] = "val", labels[boxes[file]]
        return _decode(row, bundle, targets, tuple(words[wordnet_id].split(",")[0] for wordnet_id in ids))


def _lines(bundle: Bundle, ending: str) -> list[str]:
    with bundle.open(bundle.find(ending)) as file:
        return file.read().decode("utf-8").splitlines()


def _decode(row: DatasetInfo, bundle: Bundle, targets: Mapping[str, Target], names: tuple[str, ...]) -> Raw:
    """Decode all images; those of a split are sorted by label and then by file name, independent of archive order.

    Raises:
        pixels.Unreadable: a file is not a readable image.
        ValueError: a class has no images.
    """
    ordered = {split: sorted((label, PurePosixPath(name).name, name) for name, (own, label) in targets.items()
                             if own == split) for split in SPLITS}  # fmt: skip
    labels = {split: torch.tensor([label for label, _, _ in found], dtype=torch.int64)
              for split, found in ordered.items()}  # fmt: skip
    for split, own in labels.items():
        counts = torch.bincount(own, minlength=len(names))
        if counts.min() == 0:
            raise ValueError(f"{split} has no images of {names[int(counts.argmin())]}")
    images = {split: torch.empty((len(own), 3, row.size, row.size), dtype=torch.uint8) for split, own in labels.items()}
    places = {
        name: images[split][index] for split, found in ordered.items() for index, (_, _, name) in enumerate(found)
    }
    _fill(bundle, places, row)
    return Raw(names, images["train"], labels["train"], images["val"], labels["val"])


def _fill(bundle: Bundle, places: Mapping[str, torch.Tensor], row: DatasetInfo) -> None:
    """Decode each named file into its tensor in ``places``."""
    wanted = [name for name in bundle.names if name in places]

    def decode(packed: tuple[str, bytes]) -> None:
        name, content = packed
        try:
            places[name].numpy()[...] = pixels.read(io.BytesIO(content), row.size)
        except pixels.Unreadable as error:
            raise pixels.Unreadable(f"{name}: {error}") from error

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(wanted), BATCH):
            batch = [(name, _content(bundle, name)) for name in wanted[start : start + BATCH]]
            list(pool.map(decode, batch))
            progress.decoded(row.name, start + len(batch), len(wanted))


def _content(bundle: Bundle, name: str) -> bytes:
    with bundle.open(name) as file:
        return file.read()
