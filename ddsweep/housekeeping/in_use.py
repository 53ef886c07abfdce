"""What agents are using: the locks they hold, their active leases, and what these cells need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ddsweep import files
from ddsweep.data import paths
from ddsweep.errors import UserError
from ddsweep.housekeeping import walk
from ddsweep.housekeeping.items import Item, Kind, Uses
from ddsweep.pretrained import spec
from ddsweep.recipe import Recipe, stored
from ddsweep.registry import datasets
from ddsweep.trackers import status

LOCKS = ".locks"


@dataclass(frozen=True)
class Work:
    """What must not be removed now.

    Attributes:
        keys: keys of the running cells.
        needed: the PTM folders, decoded datasets and folders of archives that these cells read; None: unknown for one
            of them, so that anything may be needed.
        agents: whether any agent is alive.
    """

    keys: frozenset[str] = frozenset()
    needed: frozenset[Path] | None = frozenset()
    agents: bool = False

    def holds(self, item: Item) -> str:
        """Why an item must not be removed; empty if it may be."""
        if item.path.name in self.keys:
            return "an agent is running it"
        if item.kind is Kind.COMPILED and self.agents:
            return "agents are running"
        if item.kind in (Kind.PTM, Kind.DATASET, Kind.ARCHIVE):
            if self.needed is None:
                return "a running cell may need it"
            if item.path in self.needed or item.path.parent in self.needed:
                return "a running cell needs it"
        return ""


Ask = Callable[[], Work]


def at_work(runs: Path, uses: Uses) -> Work:
    """Determine what is in use from the locks of the cells, the leases, and the status files of the agents."""
    locked = {path.stem for path in walk.files(runs / LOCKS) if path.suffix == ".lock" and files.is_locked(path)}
    recipes: list[Recipe | None] = [
        uses.leased.get(key) or _recipe(runs / key) for key in sorted(locked | set(uses.leased))
    ]
    needed: set[Path] | None = set()
    for recipe in recipes:
        needed = None if recipe is None or needed is None else needed | _needs(recipe)
    sweeps = [folder.name for folder in walk.folders(runs) if "@" in folder.name]
    agents = any(status.read_all(status.folder(runs, sweep)) for sweep in sweeps)
    keys = frozenset(locked | set(uses.leased))
    return Work(keys, None if needed is None else frozenset(needed), agents or bool(keys))


def _recipe(folder: Path) -> Recipe | None:
    """The recipe that a trial wrote at its start; None: not written yet, or by another version."""
    try:
        return stored(files.read_json(folder / "recipe.json"))
    except (UserError, TypeError):
        return None


def _needs(recipe: Recipe) -> set[Path]:
    ptms = {ptm.folder for ptm in spec.needs([recipe])}
    rows = [datasets.at_size(datasets.facts(name), size) for name, size in spec.datasets([recipe])]
    archives = files.cache_dir() / "data" / "archives"
    decoded = {path for row in rows for path in (paths.decoded(row), paths.whitening(row))}
    return ptms | decoded | {archives / row.name for row in rows}
