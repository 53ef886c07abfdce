"""Sweeps on W&B as this machine sees them: their definitions, and the results in the runs folder.

The definition is saved when a sweep is launched, so that ``status``, ``results`` and ``plot`` work without W&B.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import checked_files
from ddsweep.backends import Definition, Point, Registered, Row, State, Status
from ddsweep.errors import UserError, closest
from ddsweep.results import result as results
from ddsweep.sweep import Sweep
from ddsweep.trackers import status as agents

if TYPE_CHECKING:
    from ddsweep.backends import Backend, Store
    from ddsweep.backends.optuna.backend import OptunaStore
    from ddsweep.backends.optuna.reading import ReadingStore

FILE = "wandb.json"
POINTS = "points"  # folder next to it: the points that W&B has drawn for trials of this runs folder


class FolderStore:
    """The saved sweeps of a runs folder (protocol ``backends.Store``)."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs

    def names(self) -> list[str]:
        """The saved sweeps."""
        return sorted(path.parent.name for path in self.runs.glob(f"*@*/{FILE}"))

    def load_definition(self, name: str) -> Definition:
        """A saved sweep.

        Raises:
            UserError: it does not exist; the message names the saved sweeps.
        """
        if name not in self.names():
            raise UserError(f"no remembered sweep {name!r}; {closest(name, self.names())}")
        known = Definition.from_json(checked_files.read_json(self._path(name)))
        if known.cap is None:
            return known
        keys, sweep = {point.key for point in known.points}, Sweep.from_definition(known.definition)
        noted = [point for point, _ in self.noted(name) if point.key not in keys]
        sweep = sweep.knowing(noted)
        own = [point for point in noted if sweep.choices_of(point.params, point.key) is not None]
        return replace(known, points=[*known.points, *own])

    def sweep(self, name: str) -> FolderBackend:
        """One sweep, whether or not it is saved yet."""
        return FolderBackend(self, name)

    def close(self) -> None:
        """Do nothing: there are no connections."""

    def remember(self, definition: Definition) -> None:
        """Save a sweep, replacing what was saved under its name."""
        checked_files.write_json(self._path(definition.name), definition.to_json())

    def note(self, name: str, point: Point, pruned: str = "") -> None:
        """Save a point that W&B has drawn and that runs here; ``pruned``: why it was ended early."""
        path = self.runs / name / POINTS / f"{point.key}.json"
        checked_files.write_json(path, {"point": asdict(point), "pruned": pruned})

    def noted(self, name: str) -> list[tuple[Point, str]]:
        """The points saved by ``note``, in the order of their creation, and why they were pruned."""
        paths = sorted((self.runs / name / POINTS).glob("*.json"), key=lambda path: (path.stat().st_mtime_ns, path))
        return [(Point(**note["point"]), note["pruned"]) for note in map(checked_files.read_json, paths)]

    def forget(self, name: str) -> None:
        """Delete the saved definition: another backend stores the sweep from now on."""
        if (path := self._path(name)).is_file():
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.runs / name / FILE


class Library:
    """The saved sweeps of the runs folder and those of a storage, to read from as one (protocol ``backends.Store``)."""

    def __init__(self, folder: FolderStore, storage: OptunaStore | ReadingStore) -> None:
        self._folder, self._storage = folder, storage

    def names(self) -> list[str]:
        """All sweeps."""
        return sorted({*self._folder.names(), *self._storage.names()})

    def load_definition(self, name: str) -> Definition:
        """One of them. Raises UserError, naming the registered sweeps, if it is not one of them."""
        if name not in self.names():
            raise UserError(f"no registered sweep {name!r}; {closest(name, self.names())}")
        return self._of(name).load_definition(name)

    def sweep(self, name: str) -> Backend:
        """One of them."""
        return self._of(name).sweep(name)

    def kept(self, keys: Collection[str]) -> set[str]:
        """The keys, among these, whose results are in the storage."""
        return self._storage.kept(keys)

    def load(self, key: str) -> dict[str, bytes]:
        """The files of a result in the storage."""
        return self._storage.load(key)

    def close(self) -> None:
        """Close the connections."""
        self._storage.close()

    def _of(self, name: str) -> Store:
        return self._folder if name in self._folder.names() else self._storage


class FolderBackend:
    """One saved sweep (protocol ``backends.Backend``)."""

    def __init__(self, store: FolderStore, name: str) -> None:
        self.name, self._store = name, store
        self._ended: dict[str, Row] = {}

    def register(self, definition: Definition, *, alone: bool = False) -> Registered:
        """Save the definition, with the cells of earlier launches."""
        from ddsweep.backends.relaunch import relaunch  # imports Optuna, which takes 0.2 s

        known = self.name in self._store.names()
        before, rows = (self._store.load_definition(self.name), self.status().rows) if known else (None, [])
        working = any(row.state is State.RUNNING for row in rows)
        joined = relaunch(definition, before, rows, working=working, alone=alone)
        self._store.remember(joined.definition)
        keys = {row.point.key for row in rows}
        return joined.registered(sum(point.key in keys for point in joined.definition.points))

    def status(self) -> Status:
        """Cells with a result are complete or failed; those that an agent of this runs folder reports are running."""
        definition = self._store.load_definition(self.name)
        pruned = {point.key: reason for point, reason in self._store.noted(self.name) if reason}
        working = {status.key: status.agent for status in agents.read_all(agents.folder(self._store.runs, self.name))}
        rows = []
        for point in definition.points:
            state = State.RUNNING if point.key in working else State.WAITING
            if state is State.WAITING and point.key in pruned:
                state = State.PRUNED
            row = Row(point, state, agent=working.get(point.key, ""), reason=pruned.get(point.key, ""))
            rows.append(self._result(row))
        return Status(self.name, rows, definition.to_draw)

    def drained(self) -> bool:
        """Whether every cell has a result."""
        return self.status().drained

    def _result(self, row: Row) -> Row:
        """The row with its result, if there is one; a result never changes, so it is read once."""
        key = row.point.key
        if key not in self._ended:
            try:
                result = results.read(self._store.runs / key)
            except UserError:  # of another version: a trial with this key reports that
                return row
            if result is None:
                return row
            state = State.FAILED if result.accuracy is None else State.COMPLETE
            final, attributes = state is State.FAILED, result.attributes  # final: its loss diverged
            self._ended[key] = Row(row.point, state, 1, result.reason or "", result.accuracy, attributes, final=final)
        return self._ended[key]
