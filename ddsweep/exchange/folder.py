"""Image folders: one folder per class, as torchvision's ImageFolder and DD-Ranking read them; also with 16 bits."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ddsweep import files
from ddsweep.data import image_files, pixels
from ddsweep.errors import UserError
from ddsweep.exchange import integrity, png
from ddsweep.exchange import source as sources
from ddsweep.exchange.conventions import describe
from ddsweep.exchange.image_set import PIXELS, Facts, ImageSet, in_order
from ddsweep.exchange.source import Source
from ddsweep.percent import percent
from ddsweep.registry import splits
from ddsweep.registry.class_files import class_files
from ddsweep.registry.folder_checks import READ, check_encoding

NAME = "{:05d}"  # as in DD-Ranking's 00000/00000.jpg; ddsweep writes PNG, which is lossless


class Folder:
    """``00000/00000.png``: label, then image number within the class.

    Attributes:
        bits: per channel, 8 or 16, of the images that are written.
    """

    name = "folder"
    about = "a folder a class, images (torchvision's ImageFolder, DD-Ranking)"
    files: tuple[str, ...] = ()
    pixels = True

    def __init__(self, bits: int = 8) -> None:
        self.bits = bits

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
        written = write_all(one, folder, self.bits)
        about = asdict(loss(one, self.bits))
        describe(one, folder / sources.NOTE, integrity.EVERYTHING, [path for path, _ in written], **about)
        return folder


def write_all(one: ImageSet, folder: Path, bits: int = 8) -> list[tuple[Path, int]]:
    """Write each image as ``LABEL/NUMBER.png`` below ``folder``; return files and labels in the order of the images.

    Args:
        one: the set, in [0, 1]; other values are clipped.
        folder: the folder.
        bits: per channel, 8 or 16.
    """
    assert one.labels is not None
    seen: dict[int, int] = {}
    written = []
    for image, label in zip(one.images, one.labels.tolist(), strict=True):
        number = seen[label] = seen.get(label, -1) + 1
        path = folder / NAME.format(label) / f"{NAME.format(number)}.png"
        files.write_bytes(path, _picture(image, bits))
        written.append((path, label))
    return written


@dataclass(frozen=True)
class Loss:
    """What a set loses as pixels of so many bits.

    Attributes:
        bits: per channel.
        rounded_to: the step between pixel values, in units of [0, 1].
        clipped_share: share of the values outside [0, 1], which become 0 or 1 with any number of bits.
    """

    bits: int
    rounded_to: float
    clipped_share: float

    def __str__(self) -> str:
        """For people: what was lost."""
        clipped = f"{percent(self.clipped_share)} % of the values were outside [0, 1] and clipped"
        none = "no value was outside [0, 1]"
        step = f"1/{2**self.bits - 1}"
        return f"{clipped if self.clipped_share else none}, and all values were rounded to {step}"


def loss(one: ImageSet, bits: int = 8) -> Loss:
    """Return the loss of a set, in [0, 1], through pixels of 8 or 16 bits."""
    outside = float(((one.images < 0) | (one.images > 1)).double().mean())
    return Loss(bits, 1 / (2**bits - 1), round(outside, 6))


def read_all(paths: Sequence[Path]) -> Tensor:
    """Return images of the same size as [n, c, h, w] in [0, 1]; one channel if all of them are gray.

    PNG files may have 16 bits per channel, other files have 8.

    Raises:
        UserError: a file is not such an image, its size differs from the first image, or the images exceed the memory.
    """
    images: list[np.ndarray] = []
    for path in paths:
        try:
            image = _opened(path)
        except pixels.Unreadable as error:
            raise UserError(f"{path}: cannot be read as an image ({error})") from None
        height, width = image.shape[:2]
        if not images:
            sources.check_weight(len(paths) * 3 * 4 * width * height, path.parent)
        elif image.shape[:2] != images[0].shape[:2]:
            first = "x".join(map(str, reversed(images[0].shape[:2])))
            raise UserError(f"{path}: is {width}x{height}, the first image {first}")
        images.append(image)
    channels = max(image.shape[2] for image in images)
    stacked = np.stack([np.broadcast_to(image, (*image.shape[:2], channels)) for image in images])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2)


def _opened(path: Path) -> np.ndarray:
    """The pixels of a file, [h, w, c] float32 in [0, 1]. Raises Unreadable."""
    if png.is_deep(path):
        return (png.decoded(path) / (2**16 - 1)).astype(np.float32)
    with image_files.silenced():
        image = np.asarray(image_files.opened(path))
    return np.atleast_3d(image).astype(np.float32) / 255


def _images(folder: Path) -> list[Path]:
    """The images of a class folder, which are those that an image folder of real images would have."""
    found = class_files(str(folder))
    if found.lost:
        raise UserError(f"{folder}: has files that cannot be read as images ({found.lost})")
    return [Path(path) for path in found.images]


def _picture(image: Tensor, bits: int) -> bytes:
    """A PNG file of an image, [c, h, w]."""
    from PIL import Image

    whole = (image.double().clamp(0, 1) * (2**bits - 1)).round().permute(1, 2, 0).numpy()
    if bits == 16:
        return png.encoded(whole.astype(np.uint16))
    array = whole.astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(file, "PNG")
    return file.getvalue()


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
