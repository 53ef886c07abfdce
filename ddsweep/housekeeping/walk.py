"""Directory traversal that reports links and never follows them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp(\.\w+)?")  # names by files.atomic and by removal


@dataclass(frozen=True)
class Extent:
    """Size and age of a file or folder.

    Attributes:
        disk: bytes.
        touched: when the most recent of its files was last written, seconds since the epoch; of an empty folder, when
            it was created.
        files: number of files.
    """

    disk: int = 0
    touched: float = 0.0
    files: int = 0

    def __add__(self, other: Extent) -> Extent:
        return Extent(self.disk + other.disk, max(self.touched, other.touched), self.files + other.files)


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder, sorted by name; none if it cannot be read or is a link."""
    if folder.is_symlink():
        return []
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def folders(folder: Path) -> list[Path]:
    """The folders in a folder."""
    return [Path(entry) for entry in entries(folder) if entry.is_dir(follow_symlinks=False)]


def files(folder: Path) -> Iterator[Path]:
    """Every regular file in a folder and its subfolders."""
    for entry in entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from files(Path(entry))
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry)


def extent(path: Path) -> Extent:
    """The extent of a file, or of a folder with its contents. Files that vanish during the traversal do not count."""
    total = Extent()
    for file in [path] if path.is_file() and not path.is_symlink() else files(path):
        try:
            status = file.lstat()
        except OSError:
            continue
        total += Extent(status.st_size, status.st_mtime, 1)
    if not total.files and path.is_dir():
        return Extent(touched=path.lstat().st_mtime)  # a process may have just created it
    return total


def links(folder: Path) -> list[Path]:
    """The links in a folder, without subfolders."""
    return [Path(entry) for entry in entries(folder) if entry.is_symlink()]
