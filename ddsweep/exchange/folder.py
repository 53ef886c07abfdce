"""Image folders: one folder per class, 8 bits per channel, as torchvision's ImageFolder and DD-Ranking read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ddsweep import files
from ddsweep.data import image_files, pixels
from ddsweep.errors import UserError
from ddsweep.exchange import integrity
from ddsweep.exchange import source as sources
from ddsweep.exchange.conventions import describe
from ddsweep.exchange.image_set import PIXELS, Facts, ImageSet, in_order
from ddsweep.exchange.source import Source
from ddsweep.registry import splits
from ddsweep.registry.class_files import class_files
from ddsweep.registry.folder_checks import READ, check_encoding

if TYPE_CHECKING:
    from PIL.Image import Image

NAME = "{:05d}"  # as in DD-Ranking's 00000/00000.jpg; ddsweep writes PNG, which is lossless


class Folder:
    """``00000/00000.png``: label, then image number within the class."""

    name = "folder"
    about = "a folder a class, 8-bit images (torchvision's ImageFolder, DD-Ranking)"
    files: tuple[str, ...] = ()
    pixels = True

    def read(self, source: Source) -> ImageSet | None:
        """Return the images of a folder; None if it has no class folders with images.

        Class folders are sorted by name, or as numbers if all names are numbers. Whether numbers are the names of
        classes or their labels is decided when the dataset is known (``names.match``), unless the JSON description
        lists the names.
        """
        if not source.path.is_dir():
            return None
        folders = _class_folders(source.path)
        found = [_images(one) for one in folders]
        if not any(found):
            return None
        for folder, paths in zip(folders, found, strict=True):
            if not paths:
                raise UserError(f"{folder}: has no images ({READ})")
        counts = torch.tensor([len(paths) for paths in found])
        facts = source.facts or Facts(space=PIXELS, factor=1)
        labels = torch.arange(len(found)).repeat_interleave(counts)
        if facts.classes:
            labels = torch.tensor(_labels(folders, facts.classes))[labels]
            are_numbers = False
        else:
            names, are_numbers = in_order(folder.name for folder in folders)
            labels = torch.tensor([names.index(folder.name) for folder in folders])[labels]
            facts = replace(facts, classes=names)
        images = read_all([path for paths in found for path in paths])
        return ImageSet(images, labels, facts, self.name, classes_are_numbers=are_numbers)

    def write(self, one: ImageSet, folder: Path) -> Path:
        """Write the images and their JSON description, and return ``folder``."""
        written = write_all(one, folder)
        describe(one, folder / sources.NOTE, integrity.EVERYTHING, [path for path, _ in written], **loss(one))
        return folder


def write_all(one: ImageSet, folder: Path) -> list[tuple[Path, int]]:
    """Write each image as ``LABEL/NUMBER.png`` below ``folder``; return files and labels in the order of the images."""
    assert one.labels is not None
    seen: dict[int, int] = {}
    written = []
    for image, label in zip(one.images, one.labels.tolist(), strict=True):
        number = seen[label] = seen.get(label, -1) + 1
        path = folder / NAME.format(label) / f"{NAME.format(number)}.png"
        with files.atomic(path) as temporary:
            _picture(image).save(temporary)
        written.append((path, label))
    return written


def loss(one: ImageSet) -> dict[str, Any]:
    """Return the loss through 8-bit pixels for the JSON description: rounding and share of clipped values."""
    outside = float(((one.images < 0) | (one.images > 1)).double().mean())
    return {"bits": 8, "rounded_to": 1 / 255, "clipped_share": round(outside, 6)}


def read_all(paths: Sequence[Path]) -> Tensor:
    """Return images of the same size as [n, c, h, w] in [0, 1]; one channel if all of them are gray.

    Raises:
        UserError: a file is not an 8-bit image, its size differs from the first image, or the images exceed the memory.
    """
    images: list[np.ndarray] = []
    shape = (0, 0)
    for path in paths:
        try:
            with image_files.silenced():
                image = image_files.opened(path)
        except pixels.Unreadable as error:
            raise UserError(f"{path}: cannot be read as an image ({error})") from None
        if not images:
            shape = image.size
            sources.check_weight(len(paths) * 3 * 4 * image.width * image.height, path.parent)
        if image.size != shape:
            raise UserError(f"{path}: is {image.width}x{image.height}, the first image {shape[0]}x{shape[1]}")
        images.append(np.atleast_3d(np.asarray(image)))
    channels = max(image.shape[2] for image in images)
    stacked = np.stack([np.broadcast_to(image, (*image.shape[:2], channels)) for image in images])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float().div_(255)


def _images(folder: Path) -> list[Path]:
    """The images of a class folder, which are those that an image folder of real images would have."""
    found = class_files(str(folder))
    if found.lost:
        raise UserError(f"{folder}: has files that cannot be read as images ({found.lost})")
    return [Path(path) for path in found.images]


def _picture(image: Tensor) -> Image:
    from PIL import Image

    array = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def _class_folders(root: Path) -> list[Path]:
    """The class folders of a set; ``train`` alone is not a class, but has the folders in it.

    Raises:
        UserError: a name is not UTF-8, or the folder is a whole dataset with splits.
    """
    found = splits.folders(root)
    if [one.name for one in found] == ["train"] and (inner := _class_folders(found[0])):
        return inner
    if len(found) > 1 and all(splits.SPLIT.fullmatch(one.name) and splits.folders(one) for one in found):
        one = next((one for one in found if one.name.lower() in splits.TRAIN), found[0])
        raise UserError(f"{root}: has the splits {', '.join(one.name for one in found)}; did you mean {one}?")
    for one in found:
        check_encoding(one.name, f"the class folder (in {str(root)!r})")
    return sorted(found)


def _labels(folders: Sequence[Path], classes: Sequence[str]) -> list[int]:
    """The labels of class folders that ddsweep named (00003), or that were all renamed to the names of their classes.

    Raises:
        UserError: they have other names.
    """
    written = {NAME.format(label): label for label in range(len(classes))}
    named = {name: label for label, name in enumerate(classes)}
    for meaning in (written, named):
        if all(folder.name in meaning for folder in folders):
            return [meaning[folder.name] for folder in folders]
    odd = next((one for one in folders if one.name not in written and one.name not in named), folders[-1])
    raise UserError(
        f"{odd}: the folders are neither {NAME.format(0)} to {NAME.format(len(classes) - 1)} nor all called like the "
        f"classes in {sources.NOTE}"
    )
