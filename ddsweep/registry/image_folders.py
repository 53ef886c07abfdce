"""Image folders as trees of files: the class and split of each file. Of the files, only odd ones are opened."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ddsweep import files
from ddsweep.errors import UserError
from ddsweep.registry import attributes_file
from ddsweep.registry import folder_checks as checks
from ddsweep.registry.class_files import ClassFiles, Stamp, class_files, stamp
from ddsweep.registry.splits import folders, layout

FOLDER_PREFIX = "imagefolder:"
ALLOW_SKIPPED = "allow-skipped:"  # after the prefix: files that cannot be read are left out
RACE = 2_000_000_000  # nanoseconds: a folder that changes again so soon may keep its modification time
KEPT = 8  # listings

Classes = dict[str, tuple[str, ...]]
"""Class name → paths of its images, both sorted."""


def canonical(spec: str) -> str:
    """Return the name that identifies the dataset: the path of an image folder is made absolute.

    Raises:
        UserError: ``imagefolder:`` without a path.
    """
    if not spec.startswith(FOLDER_PREFIX):
        return spec
    option, path = _parsed(spec)
    if not path:
        raise UserError("imagefolder: needs the path of a folder: imagefolder:PATH")
    return FOLDER_PREFIX + option + str(files.expanded(path).absolute())


def _parsed(spec: str) -> tuple[str, str]:
    """Return the option (``allow-skipped:`` or nothing) and the path."""
    rest = spec.removeprefix(FOLDER_PREFIX)
    return (ALLOW_SKIPPED, rest.removeprefix(ALLOW_SKIPPED)) if rest.startswith(ALLOW_SKIPPED) else ("", rest)


@dataclass(frozen=True, eq=False)
class FolderTree:
    """The image files of an image folder.

    Attributes:
        train: class name → image files; classes are sorted by name, and files as torchvision sorts them.
        test: likewise; None if the folder has no splits, and is split by a fixed rule.
        attributes: path of each image → its attribute (``attributes.csv``); None without that file.
        notes: what the user should know, a line each: files that are passed over, folders that are not used.
        stamps: what the folders, and the files that were opened, looked like.
        made: when they were listed, in nanoseconds since the epoch.
    """

    train: Classes
    test: Classes | None
    attributes: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    made: int = 0

    def is_current(self) -> bool:
        """Whether listing the folder again would find the same; the content of an image may have changed.

        This looks at each folder, and not at the images. A folder that had just been changed when it was listed counts
        as changed, because a second change may have left its modification time as it was.
        """
        try:
            return all(stamp(path) == then and then[0] < self.made - RACE for path, then in self.stamps.items())
        except OSError:
            return False


_listed: dict[str, tuple[FolderTree, float]] = {}  # by canonical name: the listing, and when it was last current


def folder_tree(spec: str, recent: float = 0.0) -> FolderTree:
    """List an image folder: ``train/CLASS/…`` with ``test/`` or ``val/`` beside it, or ``CLASS/…`` alone.

    Class folders are read recursively. Hidden files and folders, and those of operating systems, are ignored. A process
    lists a folder once, as long as nothing is added, removed, or renamed.

    Args:
        spec: ``imagefolder:PATH``, or ``imagefolder:allow-skipped:PATH`` to leave files out that cannot be read.
        recent: seconds for which a listing is not compared with the folder.

    Raises:
        UserError: the folder is missing, has an unknown layout (``layout``), no class folders, an empty class, a class
            whose name is not UTF-8, files that might be images but cannot be read, or other classes in test than in
            train; a class of one image that would have to be split; or an ``attributes.csv`` that does not fit the
            images (``attributes_file.read``).
    """
    name = canonical(spec)
    tree, checked = _listed.pop(name, (None, 0.0))
    if tree is None or not (time.monotonic() - checked < recent or tree.is_current()):
        tree = _list(name)
    while len(_listed) >= KEPT:
        del _listed[next(iter(_listed))]
    _listed[name] = tree, time.monotonic()
    return tree


def notes(name: str) -> tuple[str, ...]:
    """Return what the user should know about an image folder, a line each (``FolderTree``); none for another dataset.

    Raises:
        UserError: as ``folder_tree``.
    """
    return folder_tree(name).notes if name.startswith(FOLDER_PREFIX) else ()


def _list(name: str) -> FolderTree:
    made = time.time_ns()
    option, path = _parsed(name)
    root = Path(path)
    checks.check_encoding(path, "the folder")
    if not root.is_dir():
        raise UserError(f"imagefolder: folder not found: {path!r}")
    parts = layout(root)
    stamps: dict[str, Stamp] = {path: stamp(path)}
    splits = {str(folder.relative_to(root)): _classes(folder, stamps) for folder in parts.splits}
    every = {
        name if split == "." else f"{split}/{name}": one
        for split, classes in splits.items()
        for name, one in classes.items()
    }
    checks.check_lost(every, root, FOLDER_PREFIX + ALLOW_SKIPPED + path, allow=bool(option))
    checks.check_images(every, root)
    train, *test = splits.values()
    if test:
        checks.check_same_classes(splits, root)
    else:
        checks.check_splits_outside(train, root)
        checks.check_can_be_split(train, root)
    found = [
        *checks.notes_on_files(every),
        *checks.notes_on_strays(parts.splits, root, parts.unused),
        *checks.notes_on_names(train),
    ]
    lines = tuple(f"{name}: {note}" for note in found)
    if (csv := root / attributes_file.NAME).exists():
        stamps[str(csv)] = stamp(str(csv))
    images = [path for one in every.values() for path in one.images]
    attributes = attributes_file.read(root, images, parts.unused, allow_others=bool(option))
    return FolderTree(_images(train), _images(*test) if test else None, attributes, lines, stamps, made)


def _classes(folder: Path, stamps: dict[str, Stamp]) -> dict[str, ClassFiles]:
    """Class name → its files; ``stamps`` gets those of the folders."""
    stamps[str(folder)] = stamp(str(folder))
    below = folders(folder)
    names = checks.class_names(below, folder)
    found = {name: class_files(str(one)) for name, one in zip(names, below, strict=True)}
    for one in found.values():
        stamps |= one.stamps
    return found


def _images(classes: Mapping[str, ClassFiles]) -> Classes:
    return {name: one.images for name, one in classes.items()}


def held_out(count: int) -> int:
    """Return the number of test images if a class of ``count`` ≥ 2 images is split: one fifth, at least one."""
    return max(1, count // 5)
