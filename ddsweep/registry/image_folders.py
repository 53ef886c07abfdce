"""Image folders as trees of files: the class and split of each file; files are not opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ddsweep.errors import UserError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
FOLDER_PREFIX = "imagefolder:"


def canonical(spec: str) -> str:
    """Return the name that identifies the dataset: the path of an image folder is made absolute.

    Raises:
        UserError: ``imagefolder:`` without a path.
    """
    if not spec.startswith(FOLDER_PREFIX):
        return spec
    if spec == FOLDER_PREFIX:
        raise UserError("imagefolder: needs the path of a folder: imagefolder:PATH")
    return FOLDER_PREFIX + str(Path(spec.removeprefix(FOLDER_PREFIX)).expanduser().absolute())


@dataclass(frozen=True)
class FolderTree:
    """The image files of an image folder.

    Attributes:
        train: class name → image files, both sorted by name.
        test: likewise; None if the folder has no splits, and is split by a fixed rule.
    """

    train: dict[str, tuple[Path, ...]]
    test: dict[str, tuple[Path, ...]] | None


def folder_tree(spec: str) -> FolderTree:
    """List an image folder: ``train/CLASS/*`` with ``test/`` or ``val/`` beside it, or ``CLASS/*`` alone.

    A folder named ``train``, ``test`` or ``val`` is a split if it contains folders; otherwise it is a class of that
    name or, like ImageNet's unlabeled test images, ignored. Hidden files and folders are ignored.

    Raises:
        UserError: the folder is missing, has no class folders, an empty class, or other classes in test than in train;
            or a class of one image that would have to be split.
    """
    root = Path(canonical(spec).removeprefix(FOLDER_PREFIX))
    if not root.is_dir():
        raise UserError(f"imagefolder: folder not found: {str(root)!r}")
    if not _folders(root / "train"):
        tree = FolderTree(_classes(root), None)
        for name, images in tree.train.items():
            if len(images) < 2:
                raise UserError(
                    f"imagefolder: class {name!r} of {str(root)!r} has one image; a split needs at least two"
                )
        return tree
    test = next((root / part for part in ("test", "val") if _folders(root / part)), None)
    if test is None:
        raise UserError(f"imagefolder: {str(root)!r} has train/ but no classes in test/ or val/")
    tree = FolderTree(_classes(root / "train"), _classes(test))
    if odd := sorted(set(tree.train) ^ set(tree.test or {})):
        raise UserError(f"imagefolder: class {odd[0]!r} is in only one of train/ and {test.name}/ of {str(root)!r}")
    return tree


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in _visible(root) if path.is_dir()) if root.is_dir() else []


def _visible(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise UserError(f"imagefolder: cannot list {str(folder)!r}: {error.strerror}") from error


def _classes(root: Path) -> dict[str, tuple[Path, ...]]:
    folders = _folders(root)
    if len(folders) < 2:
        raise UserError(f"imagefolder: {str(root)!r} needs one folder per class, at least two; it has {len(folders)}")
    found = {}
    for folder in folders:
        images = tuple(sorted(path for path in _visible(folder) if path.suffix.lower() in IMAGE_SUFFIXES))
        if not images:
            allowed = " ".join(sorted(IMAGE_SUFFIXES))
            raise UserError(f"imagefolder: class {folder.name!r} of {str(root)!r} has no images ({allowed})")
        found[folder.name] = images
    return found


def held_out(count: int) -> int:
    """Return the number of test images if a class of ``count`` ≥ 2 images is split: one fifth, at least one."""
    return max(1, count // 5)
