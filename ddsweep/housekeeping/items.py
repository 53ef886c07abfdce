"""Kinds of things that take room, the things themselves, and who needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ddsweep.recipe import Recipe


class Kind(StrEnum):
    """What an item is, in the words of the screen."""

    USED = "finished runs of launched sweeps"
    FREE = "finished runs of no launched sweep"
    OPEN = "unfinished runs of launched sweeps"
    ORPHAN = "unfinished runs of no launched sweep"
    PTM = "PTMs"
    DATASET = "decoded datasets"
    ARCHIVE = "archives and downloads"
    COMPILED = "compiled steps"
    LEFTOVER = "temporaries, and what was set aside"

    @property
    def asks(self) -> bool:
        """Whether somebody may miss it, so that it goes only when a person says so."""
        return self not in (Kind.ORPHAN, Kind.LEFTOVER)


@dataclass(frozen=True)
class Item:
    """One thing that can be removed.

    Attributes:
        kind: what it is.
        path: a file or a folder.
        disk: bytes.
        touched: when something in it was last written, seconds since the epoch.
        lock: the lock that is held by whoever writes it; None: there is none for it.
        kept: a name within ``path`` that stays: the lock that others may be waiting for.
        title: what it is, for people.
        held: why it is not to be touched now; empty: it may go.
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
    """What a storage, and the sweeps that a runs folder remembers, say about cells.

    Attributes:
        sweeps: the launched sweeps of each key.
        names: all launched sweeps.
        leased: the recipes, by key, of cells whose agents live; None: it cannot be told what the cell is.
    """

    sweeps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    leased: Mapping[str, Recipe | None] = field(default_factory=dict)
