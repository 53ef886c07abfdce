"""Taking one item away, while nobody works on it."""

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

SHARED = (Kind.PTM, Kind.DATASET, Kind.ARCHIVE, Kind.COMPILED)  # what cells read that do not hold its lock


class Busy(Exception):
    """It stays, for the reason that is the message."""


def remove(item: Item, root: Path, ask: Ask) -> str:
    """Remove an item, under the lock of those who write it; why it stayed, or nothing.

    Whoever waits for that lock meanwhile finds it gone, and makes it anew. What was written to since it was listed, or
    what an agent has turned to since then, stays.

    Args:
        item: as ``survey`` listed it.
        root: the runs folder or the cache: nothing outside is touched, wherever a link leads.
        ask: what agents have in their hands now; asked under the lock, for what cells share.

    Raises:
        UserError: the system does not let us.
    """
    try:
        with _locked(item.lock):
            if why := _changed(item, root) or (ask().holds(item) if item.kind in SHARED else ""):
                return why
            _take_away(item)
    except FileNotFoundError:
        return ""  # gone with the folder that it was in
    except Busy as why:
        return str(why)
    except OSError as error:
        raise UserError(f"cannot remove {error.filename or item.path}: {error.strerror or error}") from None
    return ""


@contextlib.contextmanager
def _locked(path: Path | None) -> Iterator[None]:
    """Hold a lock if nobody else does. The lock file stays: removing one parts those who wait for it."""
    from filelock import FileLock, Timeout

    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(path)
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise Busy("an agent works on it") from None
    try:
        yield
    finally:
        held.release()


def _changed(item: Item, root: Path) -> str:
    if item.path.is_symlink() or not item.path.parent.resolve().is_relative_to(root.resolve()):
        return "it is a link now"
    if item.kind in (Kind.OPEN, Kind.ORPHAN) and (item.path / "result.json").is_file():
        return "it has finished meanwhile"
    inside = [item.path] if item.path.is_file() else [path for path in walk.files(item.path) if path.name != item.kept]
    young = any(path.lstat().st_mtime > item.touched for path in inside)
    return "it was written to meanwhile" if young else ""


def _take_away(item: Item) -> None:
    if item.path.is_file():
        item.path.unlink()
    elif item.kept:
        for entry in walk.entries(item.path):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry)
            elif entry.name != item.kept:
                Path(entry).unlink()
    else:  # first out of sight, in one step: what is interrupted here is a temporary, and never half a run
        aside = item.path.with_name(f".{item.path.name}.{uuid.uuid4().hex[:8]}.tmp")
        item.path.replace(aside)
        shutil.rmtree(aside)
