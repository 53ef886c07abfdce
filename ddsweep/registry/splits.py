"""The layout of an image folder: which of its folders are the training split, the test split, and the classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ddsweep.errors import UserError
from ddsweep.registry.class_files import entries

TRAIN = ("train", "training")
TEST = (("test", "testing"), ("val", "valid", "validation"))  # the first that is there is used
ALLOWED = "train/ with test/ or val/, or one folder per class"
# names that are more likely to be a split, spelled in another way, than a class with subfolders
SPLIT = re.compile(
    r"(train|training|test|testing|val|valid|validation|dev|eval|holdout|unlabell?ed)"
    r"([ _.-]?(set|data|split|images?|imgs?|\d+))*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Layout:
    """The folders that have the class folders of an image folder.

    Attributes:
        splits: the training and the test split; or the image folder itself, if it has no splits.
        unused: names of other folders beside the splits.
    """

    splits: tuple[Path, ...]
    unused: tuple[str, ...] = ()


def layout(root: Path) -> Layout:
    """Find the splits of an image folder, in any case: ``train/`` or ``training/``, with a split of ``TEST``.

    A folder of that name is a split if it contains folders; otherwise, it is a class of that name or, like ImageNet's
    unlabeled test images, not used.

    Raises:
        UserError: there is a training split without a test split or the reverse, a split is there twice, or a folder
            looks like a split but has another name.
    """
    below = [one.name for one in folders(root)]
    train = _split(root, below, TRAIN)
    found = [name for names in TEST if (name := _split(root, below, names))]
    if train and found:
        unused = tuple(name for name in below if name not in (train, found[0]))
        return Layout((root / train, root / found[0]), unused)
    if train:
        similar = [name for name in below if name != train and SPLIT.fullmatch(name)]
        has = f"; it has {', '.join(f'{name}/' for name in similar)}" if similar else ""
        raise UserError(f"imagefolder: {str(root)!r} has {train}/ but no classes in test/ or val/{has}")
    if found:
        raise UserError(f"imagefolder: {str(root)!r} has {found[0]}/ but no classes in train/ ({ALLOWED})")
    if odd := next((name for name in below if SPLIT.fullmatch(name) and _only_folders(root / name)), None):
        raise UserError(f"imagefolder: {odd!r} in {str(root)!r} looks like a split, not a class ({ALLOWED})")
    return Layout((root,))


def _split(root: Path, below: Sequence[str], names: Sequence[str]) -> str:
    """Return the folder with one of the names and with folders in it; empty if there is none."""
    found = [name for name in below if name.casefold() in names and folders(root / name)]
    if len(found) > 1:
        listed = " and ".join(f"{name}/" for name in found)
        raise UserError(f"imagefolder: {str(root)!r} has {listed}; rename or remove all but one")
    return found[0] if found else ""


def folders(folder: Path) -> list[Path]:
    """Return the folders in a folder that are not the operating system's, sorted by name."""
    return [folder / one.name for one in entries(folder) if one.is_dir()]


def _only_folders(folder: Path) -> bool:
    inside = entries(folder)
    return bool(inside) and all(one.is_dir() for one in inside)
