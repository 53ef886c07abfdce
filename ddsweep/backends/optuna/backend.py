"""The backend on Optuna's storages: one study a sweep, one trial an attempt, and the dashboard over all of them."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.artifacts import upload_artifact
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState
from sqlalchemy import orm

from ddsweep.backends import Definition, Lease, Registered, Seen, Status, rules, sampler
from ddsweep.backends.claim import LeasedClaim
from ddsweep.backends.optuna import agents, artifacts, claims, grid
from ddsweep.backends.optuna.database import Database, one_line, open_database
from ddsweep.backends.rules import Attempt
from ddsweep.backends.sampler import Space
from ddsweep.errors import UserError, closest

if TYPE_CHECKING:
    pass

METRIC = "test accuracy"


@dataclass(frozen=True)
class OptunaStore:
    """Sweeps in an Optuna storage (protocol ``backends.Store``).

    Attributes:
        database: the open storage.
        lease: heartbeat and grace.
        pictures: the images that the dashboard shows.
    """

    database: Database
    lease: Lease
    pictures: artifacts.Artifacts

    @classmethod
    def open(cls, url: str, lease: Lease, folder: Path | None = None, *, patient: bool = False) -> OptunaStore:
        """Open a storage by path or URL; ``folder`` is that of ``artifacts.Artifacts``."""
        database = open_database(url, patient=patient)
        database.long = lease.beat
        artifacts.prepare(database)
        return cls(database, lease, artifacts.Artifacts(database, folder))

    def names(self) -> list[str]:
        """The registered sweeps."""
        return self.database.run(grid.names, "read")

    def load_definition(self, name: str) -> Definition:
        """A registered sweep."""
        return self.database.run(lambda session: grid.load_definition(session, find(session, name)), "read")

    def sweep(self, name: str) -> OptunaBackend:
        """The queue of one sweep."""
        return OptunaBackend(self, name)

    def lies_in(self, folder: Path) -> bool:
        """Whether the storage is a file in this folder: whoever has the one then has the other."""
        return self.database.path is not None and self.database.path.resolve().parent == folder.resolve()

    def kept(self, keys: Collection[str]) -> set[str]:
        """Those of these keys whose results were kept."""
        return self.database.run(lambda session: artifacts.kept(session, keys), "read")

    def load(self, key: str) -> dict[str, bytes]:
        """The files of a result that was kept."""
        return self.database.run(lambda session: artifacts.load(session, key), "read")

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
        study = self._create(definition)

        def work(session: orm.Session) -> Registered:
            grid.lock(session, study)
            before = grid.attempts(session, study, details=False)
            wanted = sampler.continued(definition, grid.stored(session, study)) if definition.cap else definition
            grid.store_definition(session, study, wanted)
            obsolete = [one.identifier for one in rules.obsolete(wanted, before)]
            withdrawn = grid.withdraw(session, obsolete, rules.WITHDRAWN)
            _queue_missing(session, study, wanted, before)
            kept = rules.known(wanted, before)
            return Registered(wanted.size - kept, kept, withdrawn)

        return self.store.database.run(work)

    def claim(self, agent: str) -> LeasedClaim | None:
        """Take the next waiting point, or None."""
        token, again = f"{agent}:{uuid.uuid4().hex[:12]}", itertools.count()

        def work(session: orm.Session) -> claims.Claimed | None:
            study = self._study(session)
            held = claims.holding(session, study, token) if next(again) else None
            if taken := held or claims.claim(session, study, agent, token):
                return taken
            return claims.claim(session, study, agent, token) if _draw(session, study) else None

        claimed = self.store.database.run(work)
        if claimed is None:
            return None
        trial, point, attempt, note = claimed
        return LeasedClaim(OptunaDesk(self.store, trial, token), point, attempt, self.store.lease.beat, note)

    def reconcile(self) -> None:
        """Fail leases whose holder is not heard of, queue failed points that have attempts left."""
        self.store.database.run(self._reconcile)

    def _reconcile(self, session: orm.Session) -> None:
        study, lease = self._study(session), self.store.lease
        grid.lock(session, study)
        # who was kept from the storage himself cannot blame others for not having been heard of
        if time.monotonic() - self.store.database.held_up > claims.BEATS * lease.beat:
            claims.expire(session, study, lease)
            session.flush()
        if grid.awaited(session, study, TrialState.FAIL):
            definition = grid.load_definition(session, study)
            _queue_missing(session, study, definition, grid.attempts(session, study, details=False))

    def status(self) -> Status:
        """Every point and how it fares."""
        return self._status(details=True)

    def drained(self) -> bool:
        """Whether every point is complete or given up."""

        def waits(session: orm.Session) -> tuple[bool, bool]:
            study = self._study(session)
            live = grid.awaited(session, study, TrialState.WAITING, TrialState.RUNNING) or grid.to_draw(session, study)
            return live, not live and grid.awaited(session, study, TrialState.FAIL)

        live, failed = self.store.database.run(waits, "read")
        return not live and (not failed or self._status(details=False).drained)

    def report(self, agent: str, status: Mapping[str, Any]) -> str:
        """Note what an agent does; what ``stop_asked`` says."""
        return self.store.database.run(lambda session: agents.report(session, self._study(session), agent, status))

    def forget(self, agent: str) -> None:
        """An agent leaves."""
        self.store.database.run(lambda session: agents.forget(session, self._study(session), agent))

    def agents(self) -> list[Seen]:
        """Every agent that reported and did not leave."""
        return self.store.database.run(lambda session: agents.agents(session, self._study(session)), "read")

    def ask_to_stop(self, mode: str) -> None:
        """Ask every agent to stop, or to go on."""
        self.store.database.run(lambda session: agents.ask_to_stop(session, self._study(session), mode))

    def stop_asked(self) -> str:
        """``drain``, ``now`` or ``""``."""
        return self.store.database.run(lambda session: agents.stop_asked(session, self._study(session)), "read")

    def attempts(self) -> list[Attempt]:
        """Every attempt there was, those of withdrawn points included, oldest first."""
        found = self.store.database.run(lambda session: grid.attempts(session, self._study(session)), "read")
        return sorted(found, key=lambda one: one.number)

    def study(self) -> optuna.Study:
        """The study, for what Optuna documents (notes, plots)."""
        with one_line(self.store.database.url):
            return optuna.load_study(study_name=self.name, storage=self.store.database.rdb)

    def _status(self, *, details: bool) -> Status:
        def work(session: orm.Session) -> Status:
            study = self._study(session)
            definition = grid.load_definition(session, study)
            rows = rules.rows(definition, grid.attempts(session, study, details=details))
            return Status(self.name, rows, definition.to_draw)

        return self.store.database.run(work, "read")

    def _create(self, definition: Definition) -> int:
        objectives = (definition.definition.get("search") or {}).get("objectives", [])
        names = objectives if len(objectives) > 1 else [METRIC]
        with one_line(self.store.database.url):
            study = optuna.create_study(
                study_name=self.name, storage=self.store.database.rdb, directions=["maximize"] * len(names),
                load_if_exists=True,
            )  # fmt: skip
            if len(study.directions) != len(names):
                raise UserError(
                    f"x-ddsweep.objectives: {self.name} was launched with {len(study.directions)} of them, which its "
                    "study keeps; give the file another name"
                )
            if study.user_attrs.get("title") != definition.title:
                study.set_user_attr("title", definition.title)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.set_metric_names(names)
            return study._study_id

    def _study(self, session: orm.Session) -> int:
        if self._id is None:  # a study keeps its id: it is looked up once, not with every claim
            self._id = find(session, self.name)
        return self._id


def find(session: orm.Session, name: str) -> int:
    """The study of a sweep. Raises UserError, naming those there are, when it is not registered."""
    found = grid.find(session, name)
    if found is None:
        raise UserError(f"no registered sweep {name!r}; {closest(name, grid.names(session))}")
    return found


def _queue_missing(session: orm.Session, study: int, definition: Definition, before: Sequence[Attempt]) -> None:
    """Queue what ``ledger`` says is missing, and note what the sweep need not wait for. The caller holds the lock."""
    missing = rules.missing(definition, before)
    if missing:
        grid.enqueue(session, study, missing, definition)
    grid.settle(session, study, [one.identifier for one in rules.settled(definition, before)])


def _draw(session: orm.Session, study: int) -> bool:
    """Queue the next point of a search; False when it has no further one."""
    if not grid.to_draw(session, study):
        return False
    grid.lock(session, study)
    definition = grid.load_definition(session, study)
    if not definition.to_draw:  # others have drawn the last ones while we waited for the lock
        return False
    point = sampler.draw(definition, grid.attempts(session, study))
    if point is None:
        grid.store_definition(session, study, replace(definition, cap=len(definition.points)))
        return False
    definition = replace(definition, points=[*definition.points, point])
    grid.store_definition(session, study, definition)
    grid.enqueue(session, study, [(point, 1)], definition)
    session.flush()
    return True


@dataclass(frozen=True)
class OptunaDesk:
    """Where one claim is answered (protocol ``lease.Desk``)."""

    store: OptunaStore
    trial: int
    token: str

    def beat(self) -> bool:
        """Note that the holder lives."""
        return self.store.database.run(lambda session: claims.beat(session, self.trial, self.token))

    def complete(self, value: float, attributes: Mapping[str, Any]) -> bool:
        """Running → complete."""
        return self._answer(partial(claims.complete, value=value, attributes=attributes), TrialState.COMPLETE)

    def fail(self, reason: str, final: bool) -> bool:
        """Running → failed."""
        return self._answer(partial(claims.fail, reason=reason, final=final), TrialState.FAIL)

    def look(self, step: int, accuracy: float) -> bool:
        """Keep an accuracy on the way; False if the trial is to be pruned."""

        def work(session: orm.Session) -> bool:
            if not claims.look(session, self.trial, self.token, step, accuracy):
                return True
            study = grid.study_of(session, self.trial)
            grid.lock(session, study)  # one band at a time: two trials that come to it together see each other
            early = Space.of(grid.load_definition(session, study).definition).search.early
            attempts = grid.attempts(session, study, details=False)
            return early is None or sampler.goes_on(early, attempts, self.trial, step)

        return self.store.database.run(work)

    def prune(self, step: int, accuracy: float) -> bool:
        """Running → pruned."""
        return self._answer(partial(claims.prune, step=step, accuracy=accuracy), TrialState.PRUNED)

    def release(self, note: Mapping[str, Any]) -> bool:
        """Running → waiting."""
        return self._answer(partial(claims.release, note=note), TrialState.WAITING)

    def _answer(self, tell: Callable[[orm.Session, int, str], bool], state: TrialState) -> bool:
        again = itertools.count()

        def work(session: orm.Session) -> bool:
            told_before = next(again) > 0 and claims.answered(session, self.trial, self.token, state)
            return told_before or tell(session, self.trial, self.token)

        return self.store.database.run(work)

    def attach(self, path: Path, name: str) -> None:
        """Keep a copy of a file and tie it to the trial; before the claim is answered."""
        rdb = self.store.database.rdb
        # Optuna keeps the name of the file that it is given
        with one_line(self.store.database.url), tempfile.TemporaryDirectory() as folder:
            upload_artifact(
                artifact_store=self.store.pictures,
                file_path=str(shutil.copy(path, Path(folder, name))),
                study_or_trial=rdb.get_trial(self.trial),
                storage=rdb,
            )

    def keep(self, key: str, contents: Mapping[str, bytes]) -> bool:
        """Keep the files of a result."""

        def work(session: orm.Session) -> bool:
            ours = claims.hold(session, self.trial, self.token)
            if ours:
                artifacts.keep(session, key, contents)
            return ours

        return self.store.database.run(work)
