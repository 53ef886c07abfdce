"""A sweep that moves from one queue to the other, and takes its results along (docs/names.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ddsweep.backends import Definition, Store


def from_wandb(new: Definition, runs: Path) -> Definition:
    """A launch on ddsweep's own queue, with the cells that have ended while the sweep was on W&B."""
    from ddsweep.backends.local import FolderStore

    return _joined(new, FolderStore(runs))


def from_storage(new: Definition, url: str, runs: Path) -> Definition:
    """A launch on W&B, with the cells that have ended while the sweep was in a storage, unless W&B has it already."""
    from ddsweep import backends
    from ddsweep.backends.local import FolderStore

    file = backends.sqlite_file(url)
    if new.name in FolderStore(runs).names() or (file is not None and not file.is_file()):
        return new
    store = backends.connect(url, artifacts=runs / "artifacts")
    try:
        return _joined(new, store, sampled=False)
    finally:
        store.close()


def _joined(new: Definition, store: Store, *, sampled: bool = True) -> Definition:
    """The launch with the ended cells of a store; ``sampled``: points of a search count as drawn by this one."""
    from ddsweep.backends.relaunch import relaunch

    if new.name not in store.names():
        return new
    before = store.load_definition(new.name)
    rows = store.sweep(new.name).status().rows
    return relaunch(new, before if sampled else replace(before, cap=None), rows, working=False).definition
