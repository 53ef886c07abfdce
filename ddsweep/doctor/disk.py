"""Room on the disks: of the runs folder and of the cache, wherever these will be made."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ddsweep import files
from ddsweep.doctor.check import Finding, Place, broken, ok, warning

COMFORT = 5e9  # bytes: a sweep of the paper's, with its datasets and PTMs, wants some


@dataclass(frozen=True)
class Room:
    """A folder and its disk.

    Attributes:
        name: ``runs`` or ``cache``.
        folder: the folder.
        there: itself, or the nearest above it that exists.
        is_folder: whether ``there`` is a folder.
        writable: whether something can be made in it.
        free: bytes.
        total: bytes.
        files_left: how many further files the disk can hold; None where it does not say.
    """

    name: str
    folder: Path
    there: Path
    is_folder: bool
    writable: bool
    free: int
    total: int
    files_left: int | None = None


def look(place: Place) -> list[Room]:
    """Ask the system; nothing is written to try."""
    return [_of("runs", place.runs), _of("cache", place.cache)]


def judge(rooms: list[Room]) -> list[Finding]:
    """Whether agents could write there, and for how long."""
    return [_judge(one) for one in rooms]


def _of(name: str, folder: Path) -> Room:
    folder = folder.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    usage, system = shutil.disk_usage(there), os.statvfs(there)
    left = system.f_favail if system.f_files else None
    return Room(name, folder, there, there.is_dir(), os.access(there, os.W_OK | os.X_OK), usage.free, usage.total, left)


def _judge(one: Room) -> Finding:
    name, option = f"disk: {one.name}", "--runs" if one.name == "runs" else "$DDSWEEP_CACHE"
    if not one.is_folder:
        return broken(name, f"{one.there} is a file", f"choose a folder with {option}")
    if not one.writable:
        return broken(name, f"{one.there} cannot be written", f"chown it, or choose another folder with {option}")
    if one.files_left == 0:
        return broken(name, f"the disk of {one.there} takes no further file (inodes)", "remove files; ddsweep clean")
    free = f"{one.free / 1e9:.3g} of {one.total / 1e9:.3g} GB free"
    if one.free < min(files.NEEDED, one.total // 10):
        return broken(name, f"{free}: agents wait for room ({one.there})", "ddsweep clean, or free some otherwise")
    if one.free < min(COMFORT, one.total // 2):
        return warning(name, f"{free} ({one.there})", "ddsweep estimate NAME says what a sweep needs; ddsweep clean")
    return ok(name, f"{free}, {one.folder}{'' if one.folder.exists() else ' (not there yet)'}")
