"""Looking into folders without leaving them: links are seen, and never followed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp(\.\w+)?")  # files.atomic, and what removal renames first


@dataclass(frozen=True)
class Extent:
    """How much a file or folder takes.

    Attributes:
        disk: bytes.
        touched: when the youngest of its files was last written, seconds since the epoch; of
            an empty folder, when it was made.
        files: how many there are.
    """

    disk: int = 0
    touched: float = 0.0
    files: int = 0

    def __add__(self, other: Extent) -> Extent:
        return Extent(self.disk + other.disk, max(self.touched, other.touched), self.files + other.files)


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, by name; nothing if it cannot be read or is a link."""
    if folder.is_symlink():
        return []
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def folders(folder: Path) -> list[Path]:
    """The folders in a folder."""
    return [Path(entry) for entry in entries(folder) if entry.is_dir(follow_symlinks=False)]


def files(folder: Path) -> Iterator[Path]:
    """Every regular file in a folder and below."""
    for entry in entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from files(Path(entry))
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry)


def extent(path: Path) -> Extent:
    """Of a file, or of a folder with all that is in it. What vanishes meanwhile counts nothing."""
    total = Extent()
    for one in [path] if path.is_file() and not path.is_symlink() else files(path):
        try:
            found = one.lstat()
        except OSError:
            continue
        total += Extent(found.st_size, found.st_mtime, 1)
    if not total.files and path.is_dir():
        return Extent(touched=path.lstat().st_mtime)  # somebody may have made it just now
    return total


def links(folder: Path) -> list[Path]:
    """The links in a folder itself."""
    return [Path(entry) for entry in entries(folder) if entry.is_symlink()]
