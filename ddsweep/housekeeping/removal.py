"""Removal of one item that is not in use."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from ddsweep.errors import UserError
from ddsweep.housekeeping import walk
from ddsweep.housekeeping.in_use import Ask
from ddsweep.housekeeping.items import Item, Kind
from ddsweep.shared import sets

SHARED = (Kind.PTM, Kind.DATASET, Kind.ARCHIVE, Kind.COMPILED)  # read by cells that do not hold its lock


class Busy(Exception):
    """The item must not be removed; the message is the reason."""


def remove(item: Item, root: Path, ask: Ask) -> str:
    """Remove an item under the lock of its writers.

    A process that waits for that lock finds the item gone, and creates it again. An item that was written to after it
    was listed, or that an agent has started to use, is kept.

    Args:
        item: as ``survey`` listed it.
        root: the runs folder or the cache; nothing outside is touched, wherever a link leads.
        ask: returns what agents are using now; called under the lock, for items that cells share.

    Returns:
        Why the item was kept; empty if it was removed.

    Raises:
        UserError: the operating system refuses the removal.
    """
    try:
        with _locked(item.lock):
            if reason := _changed(item, root) or (ask().holds(item) if item.kind in SHARED else ""):
                return reason
            if item.kind is Kind.SHARED:
                return "" if sets.remove(sets.RecordSet(item.path, item.disk, item.touched)) else "a cell is using it"
            _delete(item)
    except FileNotFoundError:
        return ""  # removed with its parent folder
    except Busy as reason:
        return str(reason)
    except OSError as error:
        raise UserError(f"cannot remove {error.filename or item.path}: {error.strerror or error}") from None
    return ""


@contextlib.contextmanager
def _locked(path: Path | None) -> Iterator[None]:
    """Hold a lock if it is free. The lock file is kept: deleting it would let two waiting processes each hold one."""
    from filelock import FileLock, Timeout

    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(path)
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise Busy("an agent is using it") from None
    try:
        yield
    finally:
        held.release()


def _changed(item: Item, root: Path) -> str:
    if item.path.is_symlink() or not item.path.parent.resolve().is_relative_to(root.resolve()):
        return "it has become a link"
    if item.kind in (Kind.OPEN, Kind.ORPHAN) and (item.path / "result.json").is_file():
        return "it has finished since then"
    inside = [item.path] if item.path.is_file() else [path for path in walk.files(item.path) if path.name != item.kept]
    young = any(path.lstat().st_mtime > item.touched for path in inside)
    return "it has been written to since then" if young else ""


def _delete(item: Item) -> None:
    if item.path.is_file():
        item.path.unlink()
    elif item.kept:
        for entry in walk.entries(item.path):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry)
            elif entry.name != item.kept:
                Path(entry).unlink()
    else:  # rename first, in one step: an interrupted removal leaves a temporary folder, never half a run
        aside = item.path.with_name(f".{item.path.name}.{uuid.uuid4().hex[:8]}.tmp")
        item.path.replace(aside)
        shutil.rmtree(aside)
