"""Kinds of items that use disk space, the items themselves, and which sweeps need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ddsweep.recipe import Recipe


class Kind(StrEnum):
    """What an item is, as the screen names it."""

    USED = "finished runs of launched sweeps"
    FREE = "finished runs of no launched sweep"
    OPEN = "unfinished runs of launched sweeps"
    ORPHAN = "unfinished runs of no launched sweep"
    REPLACED = "runs that were computed again"
    PTM = "PTMs"
    TRAINED = "what methods of plugins have trained"
    SHARED = "results that cells share"
    DATASET = "decoded datasets"
    ARCHIVE = "archives and downloads"
    COMPILED = "compiled steps"
    CHECKED = "checks that plugins have passed"
    LEFTOVER = "temporary and set-aside files"

    @property
    def asks(self) -> bool:
        """Whether removing it needs confirmation, because the user may still want it."""
        return self not in (Kind.ORPHAN, Kind.LEFTOVER)


@dataclass(frozen=True)
class Item:
    """A file or folder that can be removed.

    Attributes:
        kind: what it is.
        path: a file or a folder.
        disk: bytes.
        touched: when it, or a file in it, was last written, seconds since the epoch.
        lock: the lock that its writers hold; None: it has none.
        kept: name of a file within ``path`` that is not removed: the lock that other processes may be waiting for.
        title: what the screen calls it.
        held: why it must not be removed now; empty if it may be.
    """

    kind: Kind
    path: Path
    disk: int
    touched: float
    lock: Path | None = None
    kept: str = ""
    title: str = ""
    held: str = ""


@dataclass(frozen=True)
class Uses:
    """Which launched sweeps use which cells, according to the storage and the runs folder.

    Attributes:
        sweeps: the launched sweeps of each key.
        names: all launched sweeps.
        leased: the recipes, by key, of cells with an active lease; None: the recipe of the cell is unknown.
    """

    sweeps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    leased: Mapping[str, Recipe | None] = field(default_factory=dict)
