"""What a biased dataset is made from: the images of its base, or the file of the paper's authors."""

from __future__ import annotations

import re
from pathlib import Path

from ddsweep import again, files
from ddsweep.data import paths
from ddsweep.errors import UserError
from ddsweep.registry import datasets
from ddsweep.registry.bias import PHOTOS, Bias
from ddsweep.registry.datasets import FOLDER_PREFIX, DatasetInfo, at_size, info
from ddsweep.registry.image_folders import folder_tree
from ddsweep.registry.splits import TRAIN, folders

AUTHORS_NAME = re.compile(r".*_align([0-9.]+)_severity_?(\d+)\.pth")


def base(how: Bias) -> DatasetInfo:
    """Return the row of the base, at its own size: the dataset with that name, or the user's image folder of it."""
    own, link = info(how.base), paths.photos_link()
    if how.base == PHOTOS and link.is_symlink():
        return at_size(info(f"{FOLDER_PREFIX}{link.readlink()}"), own.size)
    return own


def authors_file(row: DatasetInfo) -> Path | None:
    """Return the authors' file of a dataset, if the user has it; None: the images are made from the base.

    Raises:
        UserError: it is no longer where it was.
    """
    place = _authors_link(row)
    if not place.is_symlink():
        return None
    if not place.exists():
        raise UserError(
            f"{row.name}: {str(place.readlink())!r} is no longer there; give its new place (--from), or remove {place}"
        )
    return place


def origin(row: DatasetInfo) -> str:
    """Return the displayed source of the images: the row's, with an image folder that is the base, or the authors'."""
    assert row.bias is not None
    if file := authors_file(row):
        return f"made by the authors: {file.name}"
    name = base(row.bias).name
    return row.origin if name == row.bias.base else f"{row.origin}; {row.bias.base} is {name}"


def facts(row: DatasetInfo) -> list[str | int]:
    """Return what identifies the authors' file, if it is used. Raises UserError as ``authors_file``."""
    file = authors_file(row)
    if file is None:
        return []
    stat = file.stat()
    return [str(file.resolve()), stat.st_size, stat.st_mtime_ns]


def adopt(row: DatasetInfo, source: Path) -> None:
    """Use files that the user already has: the authors' file, an image folder of CIFAR-10, or the base's archives.

    They are linked, not copied.

    Raises:
        UserError: ``source`` is not found, or is not a valid file of the authors with this share and severity, an image
            folder with the classes of the base, or a place with the official archives.
    """
    assert row.bias is not None
    source = source.absolute()
    if source.suffix == ".pth" and source.is_file():
        _adopt_file(row, source)
    elif row.bias.base == PHOTOS and source.is_dir() and any(one.name.lower() in TRAIN for one in folders(source)):
        _check_classes(row, source)
        _link(paths.photos_link(), source)
    else:
        from ddsweep.data import archives  # imports http.client, which most commands do not need

        archives.adopt(info(row.bias.base), source)
        paths.photos_link().unlink(missing_ok=True)


def _adopt_file(row: DatasetInfo, source: Path) -> None:
    assert row.bias is not None
    if not row.bias.file:
        name, _, fields = row.name.partition(":")
        other = again.other("data", "fetch", f"{name}-dd:{fields}", "--from", str(source))
        known = f"; for the authors' images, type: {other}" if f"{name}-dd" in datasets.TABLE.rows else ""
        raise UserError(f"{row.name}: is made here, not read from {str(source)!r}{known}")
    match = AUTHORS_NAME.fullmatch(source.name)
    if match and (float(match[1]), int(match[2])) != (row.bias.align, row.bias.severity):
        raise UserError(f"{row.name}: {str(source)!r} is, by its name, that of align={match[1]},severity={match[2]}")
    from ddsweep.data.bias import authors  # imports torch

    authors.read(row, source)
    _link(_authors_link(row), source)


def _check_classes(row: DatasetInfo, source: Path) -> None:
    assert row.bias is not None
    found, wanted = tuple(folder_tree(f"{FOLDER_PREFIX}{source}").train), info(row.bias.base).classes
    if found != wanted:
        odd = sorted(set(found) ^ set(wanted))[0]
        raise UserError(
            f"{row.name}: the {len(found)} classes of {str(source)!r} are not those of {row.bias.base}: {odd!r} is in "
            "only one of them"
        )


def _link(place: Path, target: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def _authors_link(row: DatasetInfo) -> Path:
    assert row.bias is not None
    return files.cache_dir() / "data" / "archives" / row.name.partition(":")[0] / row.bias.authors_file
