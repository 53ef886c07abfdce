"""Free disk space for the runs folder and the cache, whether or not they exist yet."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ddsweep import again, files, text
from ddsweep.doctor.check import Finding, Place, error, ok, warning

COMFORTABLE = 5e9  # bytes that a sweep of the paper needs with its datasets and PTMs


@dataclass(frozen=True)
class Disk:
    """A folder and the disk that it is on, or will be on.

    Attributes:
        name: ``runs`` or ``cache``.
        folder: the folder.
        existing: the folder itself, or the nearest parent that exists.
        is_folder: whether ``existing`` is a folder.
        writable: whether files can be created in it.
        free: bytes.
        total: bytes.
        free_files: how many more files the disk can hold (inodes); None where it does not say.
    """

    name: str
    folder: Path
    existing: Path
    is_folder: bool
    writable: bool
    free: int
    total: int
    free_files: int | None = None


def inspect(place: Place) -> list[Disk]:
    """Ask the system; no file is written to test it."""
    return [_disk("runs", place.runs), _disk("cache", place.cache)]


def judge(disks: list[Disk]) -> list[Finding]:
    """Whether agents can write to each folder, and whether it has enough space for a sweep."""
    return [_judge(disk) for disk in disks]


def _disk(name: str, folder: Path) -> Disk:
    folder = folder.absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    usage, system = shutil.disk_usage(existing), os.statvfs(existing)
    writable = os.access(existing, os.W_OK | os.X_OK)
    free_files = system.f_favail if system.f_files else None
    return Disk(name, folder, existing, existing.is_dir(), writable, usage.free, usage.total, free_files)


def _judge(disk: Disk) -> Finding:
    name, option = f"disk: {disk.name}", "--runs" if disk.name == "runs" else "$DDSWEEP_CACHE"
    if not disk.is_folder:
        return error(name, f"{disk.existing} is a file", f"choose a folder with {option}")
    if not disk.writable:
        return error(name, f"{disk.existing} is not writable", f"chown it, or choose another folder with {option}")
    if disk.free_files == 0:
        return error(name, f"the disk of {disk.existing} has no free inodes", f"remove files: {again.other('clean')}")
    free = f"{text.data_size(disk.free)} of {text.data_size(disk.total)} free"
    if disk.free < min(files.NEEDED, disk.total // 10):
        message = f"{free}: agents pause until there is more disk space ({disk.existing})"
        return error(name, message, f"{again.other('clean')}, or free disk space by other means")
    if disk.free < min(COMFORTABLE, disk.total // 2):
        fix = f"`estimate` says what a sweep needs; to free disk space: {again.other('clean')}"
        return warning(name, f"{free} ({disk.existing})", fix)
    return ok(name, f"{free}, {disk.folder}{'' if disk.folder.exists() else ' (does not exist yet)'}")
