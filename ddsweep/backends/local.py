"""A sweep as this machine sees it, whoever deals its points: what is remembered of it, and which run folders are whole.

Sweeps on W&B are remembered here when they are launched, so that ``status``, ``results`` and ``plot`` ask nobody.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import files
from ddsweep.backends import Definition, Point, Registered, Row, State, Status
from ddsweep.errors import UserError, closest
from ddsweep.results import result as results
from ddsweep.trackers import status as agents

if TYPE_CHECKING:
    from ddsweep.backends import Backend, Store
    from ddsweep.backends.optuna.backend import OptunaStore

FILE = "wandb.json"
POINTS = "points"  # folder beside it: what W&B has drawn for trials of this runs folder


class FolderStore:
    """The remembered sweeps of a runs folder (protocol ``backends.Store``)."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs

    def names(self) -> list[str]:
        """Those that are remembered."""
        return sorted(path.parent.name for path in self.runs.glob(f"*@*/{FILE}"))

    def load_definition(self, name: str) -> Definition:
        """A remembered sweep.

        Raises:
            UserError: there is none of this name; the line names those there are.
        """
        if name not in self.names():
            raise UserError(f"no remembered sweep {name!r}; {closest(name, self.names())}")
        known = Definition.from_json(files.read_json(self._path(name)))
        there = {point.key for point in known.points}
        noted = [one for one, _ in self.noted(name) if known.cap is not None and one.key not in there]
        return replace(known, points=[*known.points, *noted])

    def sweep(self, name: str) -> FolderBackend:
        """One sweep, remembered or about to be."""
        return FolderBackend(self, name)

    def close(self) -> None:
        """Nothing to let go of."""

    def remember(self, definition: Definition) -> None:
        """Keep a sweep, in the place of what was kept under its name."""
        files.write_json(self._path(definition.name), definition.to_json())

    def note(self, name: str, point: Point, pruned: str = "") -> None:
        """A point of a search was drawn elsewhere and runs here; ``pruned``: why it has ended on its way."""
        files.write_json(self.runs / name / POINTS / f"{point.key}.json", {"point": asdict(point), "pruned": pruned})

    def noted(self, name: str) -> list[tuple[Point, str]]:
        """The points that were noted, in the order in which they came, and why they were pruned."""
        paths = sorted((self.runs / name / POINTS).glob("*.json"), key=lambda path: (path.stat().st_mtime_ns, path))
        return [(Point(**one["point"]), one["pruned"]) for one in map(files.read_json, paths)]

    def forget(self, name: str) -> None:
        """It is in somebody else's books from now on."""
        if (path := self._path(name)).is_file():
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.runs / name / FILE


class Library:
    """Two stores as one to read from: what this folder remembers, and a storage (protocol ``backends.Store``)."""

    def __init__(self, folder: FolderStore, storage: OptunaStore) -> None:
        self._folder, self._storage = folder, storage

    def names(self) -> list[str]:
        """All sweeps."""
        return sorted({*self._folder.names(), *self._storage.names()})

    def load_definition(self, name: str) -> Definition:
        """One of them. Raises UserError, naming those there are, when it is not registered."""
        if name not in self.names():
            raise UserError(f"no registered sweep {name!r}; {closest(name, self.names())}")
        return self._of(name).load_definition(name)

    def sweep(self, name: str) -> Backend:
        """One of them."""
        return self._of(name).sweep(name)

    def kept(self, keys: Collection[str]) -> set[str]:
        """What the storage has of other hosts' results."""
        return self._storage.kept(keys)

    def load(self, key: str) -> dict[str, bytes]:
        """The files of such a result."""
        return self._storage.load(key)

    def close(self) -> None:
        """Let go of connections."""
        self._storage.close()

    def _of(self, name: str) -> Store:
        return self._folder if name in self._folder.names() else self._storage


class FolderBackend:
    """One remembered sweep (protocol ``backends.Backend``)."""

    def __init__(self, store: FolderStore, name: str) -> None:
        self.name, self._store = name, store
        self._ended: dict[str, Row] = {}

    def register(self, definition: Definition) -> Registered:
        """Remember it."""
        before = {point.key for point in self._before()}
        after = {point.key for point in definition.points}
        self._store.remember(definition)
        return Registered(len(after - before), len(after & before), len(before - after))

    def status(self) -> Status:
        """Complete and diverged cells have a result; those that an agent of this runs folder has in hand run."""
        definition = self._store.load_definition(self.name)
        pruned = {point.key: reason for point, reason in self._store.noted(self.name) if reason}
        working = {one.cell: one.agent for one in agents.read_all(agents.folder(self._store.runs, self.name))}
        rows = []
        for point in definition.points:
            state = State.RUNNING if point.title in working else State.WAITING
            if state is State.WAITING and point.key in pruned:
                state = State.PRUNED
            row = Row(point, state, agent=working.get(point.title, ""), reason=pruned.get(point.key, ""))
            rows.append(self._result(row))
        return Status(self.name, rows, definition.to_draw)

    def drained(self) -> bool:
        """Whether every cell has a result."""
        return self.status().drained

    def _before(self) -> list[Point]:
        return self._store.load_definition(self.name).points if self.name in self._store.names() else []

    def _result(self, row: Row) -> Row:
        """The row, ended if its run folder is whole; a result does not change any more, and is read once."""
        key = row.point.key
        if key not in self._ended:
            try:
                found = results.read(self._store.runs / key)
            except UserError:  # of another version: the trial that meets it says so
                return row
            if found is None:
                return row
            state = State.FAILED if found.accuracy is None else State.COMPLETE
            told = found.summary() | {"device": found.device}
            self._ended[key] = Row(row.point, state, 1, found.reason or "", found.accuracy, told)
        return self._ended[key]
