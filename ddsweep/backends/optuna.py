"""The backend on Optuna's storages: one study a sweep, one trial an attempt, and the dashboard over all of them."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.exceptions import ExperimentalWarning
from sqlalchemy import orm

from ddsweep.backends import Definition, Lease, Registered, Status, ledger, queue, storage
from ddsweep.backends.lease import LeasedClaim
from ddsweep.backends.ledger import Attempt
from ddsweep.errors import UserError, closest

METRIC = "test accuracy"


@dataclass(frozen=True)
class OptunaStore:
    """Sweeps in an Optuna storage (protocol ``backends.Store``).

    Attributes:
        database: the open storage.
        lease: heartbeat and grace.
        artifacts: folder of the images that the dashboard shows; None: there is none.
    """

    database: storage.Database
    lease: Lease
    artifacts: Path | None = None

    @classmethod
    def open(cls, url: str, lease: Lease, artifacts: Path | None = None) -> OptunaStore:
        """Open a storage by path or URL; without ``artifacts`` they lie beside an SQLite file."""
        database = storage.open_database(url)
        beside = database.path.with_name("artifacts") if database.path else None
        return cls(database, lease, artifacts or beside)

    def names(self) -> list[str]:
        """The registered sweeps."""
        with self.database.transaction("read") as session:
            return queue.names(session)

    def load_definition(self, name: str) -> Definition:
        """A registered sweep."""
        with self.database.transaction("read") as session:
            return find(session, name)[1]

    def sweep(self, name: str) -> OptunaBackend:
        """The queue of one sweep."""
        return OptunaBackend(self, name)

    def close(self) -> None:
        """Let go of connections."""
        self.database.close()


class OptunaBackend:
    """The queue of one sweep (protocol ``backends.Backend``)."""

    def __init__(self, store: OptunaStore, name: str) -> None:
        self.store, self.name = store, name
        self._id: int | None = None

    def register(self, definition: Definition) -> Registered:
        """Make the grid what ``definition`` says, in one transaction: all of it or nothing."""
        if definition.name != self.name:
            raise ValueError(f"definition: is of {definition.name}, not of {self.name}")
        study = self._create(definition.title)
        with self.store.database.transaction() as session:
            queue.lock(session, study)
            before = queue.attempts(session, study, details=False)
            queue.store_definition(session, study, definition)
            obsolete = [one.identifier for one in ledger.obsolete(definition, before)]
            withdrawn = queue.withdraw(session, obsolete, ledger.WITHDRAWN)
            queue.enqueue(session, study, ledger.missing(definition, before), definition.points)
        kept = ledger.known(definition, before)
        return Registered(len(definition.points) - kept, kept, withdrawn)

    def claim(self, agent: str) -> LeasedClaim | None:
        """Take the next waiting point, or None."""
        token = f"{agent}:{uuid.uuid4().hex[:12]}"
        with self._transaction() as (session, study):
            claimed = queue.claim(session, study, agent, token)
        if claimed is None:
            return None
        trial, point, attempt = claimed
        return LeasedClaim(OptunaDesk(self.store, trial, token), point, attempt, self.store.lease.beat)

    def reconcile(self) -> None:
        """Fail leases whose holder is not heard of, queue failed points that have attempts left."""
        with self.store.database.transaction() as session:
            study, definition = find(session, self.name)
            queue.lock(session, study)
            queue.expire(session, study, self.store.lease.grace)
            missing = ledger.missing(definition, queue.attempts(session, study, details=False))
            if missing:
                queue.enqueue(session, study, missing, definition.points)

    def status(self) -> Status:
        """Every point and how it fares."""
        return self._status(details=True)

    def drained(self) -> bool:
        """Whether every point is complete or given up."""
        return self._status(details=False).drained

    def attempts(self) -> list[Attempt]:
        """Every attempt there was, those of withdrawn points included, oldest first."""
        with self._transaction("read") as (session, study):
            return sorted(queue.attempts(session, study), key=lambda one: one.number)

    def study(self) -> optuna.Study:
        """The study, for what Optuna documents (notes, plots)."""
        with storage.one_line(self.store.database.url):
            return optuna.load_study(study_name=self.name, storage=self.store.database.rdb)

    def _status(self, *, details: bool) -> Status:
        with self.store.database.transaction("read") as session:
            study, definition = find(session, self.name)
            return Status(self.name, ledger.rows(definition, queue.attempts(session, study, details=details)))

    def _create(self, title: str) -> int:
        with storage.one_line(self.store.database.url):
            study = optuna.create_study(
                study_name=self.name, storage=self.store.database.rdb, direction="maximize", load_if_exists=True
            )
            if study.user_attrs.get("title") != title:
                study.set_user_attr("title", title)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.set_metric_names([METRIC])
            return study._study_id

    @contextlib.contextmanager
    def _transaction(self, mode: Literal["read", "write"] = "write") -> Iterator[tuple[orm.Session, int]]:
        with self.store.database.transaction(mode) as session:
            if self._id is None:  # a study keeps its id: it is looked up once, not with every claim
                self._id = find(session, self.name)[0]
            yield session, self._id


@dataclass(frozen=True)
class OptunaDesk:
    """Where one claim is answered (protocol ``lease.Desk``)."""

    store: OptunaStore
    trial: int
    token: str

    def beat(self) -> bool:
        """Note that the holder lives."""
        with self.store.database.transaction() as session:
            return queue.beat(session, self.trial, self.token)

    def complete(self, value: float, attributes: Mapping[str, Any]) -> bool:
        """Running → complete."""
        with self.store.database.transaction() as session:
            return queue.complete(session, self.trial, self.token, value, attributes)

    def fail(self, reason: str) -> bool:
        """Running → failed."""
        with self.store.database.transaction() as session:
            return queue.fail(session, self.trial, self.token, reason)

    def release(self) -> bool:
        """Running → waiting."""
        with self.store.database.transaction() as session:
            return queue.release(session, self.trial, self.token)

    def attach(self, path: Path, name: str) -> None:
        """Copy a file into the folder of artifacts and tie it to the trial; before the claim is answered."""
        if self.store.artifacts is None:
            raise UserError("artifacts: no folder for them was given")
        self.store.artifacts.mkdir(parents=True, exist_ok=True)
        rdb = self.store.database.rdb
        with tempfile.TemporaryDirectory() as folder:  # Optuna keeps the name of the file that it is given
            upload_artifact(
                artifact_store=FileSystemArtifactStore(self.store.artifacts),
                file_path=str(shutil.copy(path, Path(folder, name))),
                study_or_trial=rdb.get_trial(self.trial),
                storage=rdb,
            )


def find(session: orm.Session, name: str) -> tuple[int, Definition]:
    """The study of a sweep and its definition. Raises UserError, naming those there are, when it is not registered."""
    found = queue.find(session, name)
    if found is None:
        raise UserError(f"no registered sweep {name!r}; {closest(name, queue.names(session))}")
    return found
