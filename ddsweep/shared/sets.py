"""The sets of records on disk: ``KIND-HASH/`` with ``about.json`` (its facts), ``records.bin`` and ``lock``."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddsweep import checked_files, files
from ddsweep.errors import UserError
from ddsweep.shared import locks

ABOUT, RECORDS, LOCK = "about.json", "records.bin", "lock"


@dataclass(frozen=True)
class RecordSet:
    """A set of records on disk.

    Attributes:
        path: its folder.
        size: bytes of its records.
        used: when a cell last opened it, in seconds since the epoch.
    """

    path: Path
    size: int
    used: float

    @property
    def kind(self) -> str:
        """What its records are, such as ``dm-means``."""
        return self.path.name.rpartition("-")[0]

    @property
    def title(self) -> str:
        """What its records are, and of which dataset and network: ``dm-means of cifar10, convnet3, seed 0``."""
        facts = self.facts()
        cell = facts.get("cell")
        cell = cell if isinstance(cell, dict) else {}
        parts = [facts.get("dataset"), cell.get("arch") or facts.get("ptm")]
        parts += [f"seed {cell['seed']}"] if "seed" in cell else []
        known = ", ".join(str(part) for part in parts if part)
        return f"{self.kind} of {known}" if known else self.path.name

    def facts(self) -> dict[str, Any]:
        """What its records depend on; empty if the file is missing or damaged."""
        try:
            found = checked_files.read_json(self.path / ABOUT).get("about")
        except UserError:
            return {}
        return found if isinstance(found, dict) else {}


def describe(path: Path, about: Mapping[str, Any]) -> None:
    """Write what the records of the set in ``path`` depend on, and their shape and type, with a checksum.

    Raises:
        UserError: it cannot be written.
    """
    checked_files.write_json(path / ABOUT, {"about": dict(about)})


def root() -> Path:
    """Return the folder of all sets of records, in the cache folder."""
    return files.cache_dir() / "shared"


def path_of(folder: Path, kind: str, facts: Mapping[str, Any]) -> Path:
    """Return the folder of the set of records with these facts."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return folder / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def listed(folder: Path) -> list[RecordSet]:
    """Return the sets of records in ``folder``, the least recently used first."""
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):  # another process is removing it
                    found.append(_measured(Path(entry.path)))
    return sorted(found, key=lambda one: (one.used, one.path))


def _measured(path: Path) -> RecordSet:
    about, records = path / ABOUT, path / RECORDS
    used = about.stat().st_mtime if about.exists() else path.stat().st_mtime
    return RecordSet(path, records.stat().st_size if records.exists() else 0, used)


def total(folder: Path) -> int:
    """Return the bytes of all sets of records in ``folder``."""
    return sum(one.size for one in listed(folder))


def in_use(one: RecordSet) -> bool:
    """Whether a process has the set open; one whose lock cannot be tested counts as in use."""
    if not (one.path / LOCK).exists():
        return False
    try:
        lock = _locked(one)
    except FileNotFoundError:  # another process is removing it
        return True
    if lock is not None:
        lock.close()
    return lock is None


def remove(one: RecordSet) -> bool:
    """Remove a set of records that no process has open; return whether it is gone."""
    try:
        lock = _locked(one)
    except FileNotFoundError:
        return True
    if lock is None:
        return False
    try:
        shutil.rmtree(one.path, ignore_errors=True)
    finally:
        lock.close()
    return not one.path.exists()


def _locked(one: RecordSet) -> locks.Locks | None:
    """Return the lock of a set, held; None if a process has the set open, or the lock cannot be tested.

    Raises:
        FileNotFoundError: the set is gone.
    """
    path = one.path / LOCK
    if locks.open_here(path):
        return None
    try:
        lock = locks.Locks(path)
    except FileNotFoundError:
        raise
    except OSError:
        return None
    try:
        if lock.acquire(locks.IN_USE):
            return lock
    except OSError:
        pass
    lock.close()
    return None
