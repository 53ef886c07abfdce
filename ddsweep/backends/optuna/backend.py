"""The backend on Optuna's storages: a study per sweep, a trial per attempt, and the dashboard for all of them."""

from __future__ import annotations

import itertools
import time
import uuid
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.exceptions import ExperimentalWarning
from optuna.storages._rdb import models as m
from optuna.trial import TrialState
from sqlalchemy import orm

from ddsweep.backends import Definition, Held, Lease, Registered, Seen, Status, rules, sampler
from ddsweep.backends.optuna import agents, artifacts, claims, grid, leases, tables
from ddsweep.backends.optuna.database import Database, one_line, open_database
from ddsweep.backends.relaunch import relaunch
from ddsweep.backends.rules import Attempt
from ddsweep.errors import UserError, closest

METRIC = "test accuracy"
ENDED = (TrialState.COMPLETE, TrialState.FAIL)
Take = Callable[[orm.Session, int, str], claims.Taken | None]


@dataclass(frozen=True)
class OptunaStore:
    """Sweeps in an Optuna storage (protocol ``backends.Store``).

    Attributes:
        database: the open storage.
        lease: heartbeat and grace.
        pictures: the images of the dashboard.
    """

    database: Database
    lease: Lease
    pictures: artifacts.Artifacts

    @classmethod
    def open(cls, url: str, lease: Lease, folder: Path | None = None, *, patient: bool = False) -> OptunaStore:
        """Open a storage by path or URL; ``folder`` is that of ``artifacts.Artifacts``."""
        database = open_database(url, patient=patient)
        database.outage_seconds = lease.beat
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
        """Whether the storage is a file in this folder, so that its users share the folder too."""
        return self.database.path is not None and self.database.path.resolve().parent == folder.resolve()

    def kept(self, keys: Collection[str]) -> set[str]:
        """The keys, among these, whose results are stored."""
        return self.database.run(lambda session: artifacts.kept(session, keys), "read")

    def load(self, key: str) -> dict[str, bytes]:
        """The files of a stored result."""
        return self.database.run(lambda session: artifacts.load(session, key), "read")

    def close(self) -> None:
        """Close the connections."""
        self.database.close()


class OptunaBackend:
    """The queue of one sweep (protocol ``backends.Backend``)."""

    def __init__(self, store: OptunaStore, name: str) -> None:
        self.store, self.name = store, name
        self._id: int | None = None

    def register(self, definition: Definition, *, alone: bool = False) -> Registered:
        """Add the points of a launch, in one transaction."""
        if definition.name != self.name:
            raise ValueError(f"definition: belongs to {definition.name}, not to {self.name}")
        study = self._create(definition)

        def work(session: orm.Session) -> Registered:
            grid.lock(session, study)
            grid.mark_lost(session, study)
            leases.recover(session, study)
            session.flush()
            before = grid.attempts(session, study, details=False)
            known = grid.stored(session, study)
            # without a definition that can be read, the attempts say what there was
            rows = rules.rows(known or rules.remembered(definition, before), before)
            working = _working(session, study, self.store.lease)
            joined = relaunch(definition, known, rows, working=working, alone=alone)
            wanted = joined.definition
            grid.store_definition(session, study, wanted)
            grid.withdraw(session, [one.identifier for one in rules.obsolete(wanted, before)], rules.WITHDRAWN)
            _queue_missing(session, study, wanted, before)
            return joined.registered(rules.known(wanted, before))

        return self.store.database.run(work)

    def requeue(self, keys: Collection[str], reason: str) -> int:
        """Queue ended points again, in one transaction."""

        def work(session: orm.Session) -> int:
            study = self._study(session)
            grid.lock(session, study)
            definition = grid.load_definition(session, study)
            obsolete = rules.ended(definition, grid.attempts(session, study, details=False), keys)
            grid.withdraw(session, [one.identifier for one in obsolete], reason, ENDED)
            _queue_missing(session, study, definition, grid.attempts(session, study, details=False))
            return len(rules.grouped(obsolete))

        return self.store.database.run(work)

    def claim(self, agent: str) -> claims.OptunaClaim | None:
        """Claim the next waiting point, or None. If none is waiting, a search draws its next point."""

        def take(session: orm.Session, study: int, token: str) -> claims.Taken | None:
            if taken := claims.take(session, study, agent, token):
                return taken
            return claims.take(session, study, agent, token) if _draw(session, study) else None

        return self._claim(agent, take)

    def claim_among(self, agent: str, keys: Collection[str]) -> claims.OptunaClaim | None:
        """Claim the next waiting point with one of these keys, or None."""
        return self._claim(agent, lambda session, study, token: claims.take(session, study, agent, token, keys))

    def waiting(self) -> int:
        """The number of points that wait for an agent."""

        def count(session: orm.Session) -> int:
            trial, study = m.TrialModel, self._study(session)
            waits = (trial.study_id == study) & (trial.state == TrialState.WAITING)
            return session.scalar(sa.select(sa.func.count()).where(waits)) or 0

        return self.store.database.run(count, "read")

    def _claim(self, agent: str, take: Take) -> claims.OptunaClaim | None:
        """Claim what ``take`` takes, once, however often the connection breaks."""
        token, runs = f"{agent}:{uuid.uuid4().hex[:12]}", itertools.count()

        def transaction(session: orm.Session) -> claims.Taken | None:
            study = self._study(session)
            before = claims.taken(session, study, token) if next(runs) else None
            return before or take(session, study, token)

        taken = self.store.database.run(transaction)
        if taken is None:
            return None
        return claims.OptunaClaim(taken, self.store.lease.beat, self.store.database, self.store.pictures)

    def reconcile(self) -> None:
        """Fail attempts whose agent is dead, and queue failed points that have attempts left."""
        self.store.database.run(self._reconcile)

    def _reconcile(self, session: orm.Session) -> None:
        study, lease = self._study(session), self.store.lease
        grid.lock(session, study)
        leases.recover(session, study)
        # after an outage that this process saw too, missing heartbeats prove nothing
        if time.monotonic() - self.store.database.last_outage > leases.BEATS * lease.beat:
            leases.expire(session, study, lease)
        session.flush()
        if grid.awaited(session, study, TrialState.FAIL):
            definition = grid.load_definition(session, study)
            _queue_missing(session, study, definition, grid.attempts(session, study, details=False))

    def retry(self) -> int:
        """Try every point again that was given up, unless that is in vain; return their number."""

        def work(session: orm.Session) -> int:
            study = self._study(session)
            grid.lock(session, study)
            definition = grid.load_definition(session, study)
            forgiven = rules.retried(definition, grid.attempts(session, study, details=False))
            if forgiven:
                grid.mark(session, [attempt.identifier for attempt in forgiven], tables.FORGIVEN)
                _queue_missing(session, study, definition, grid.attempts(session, study, details=False))
            return len({attempt.point.identity for attempt in forgiven})

        return self.store.database.run(work)

    def held(self) -> list[Held]:
        """The points that agents hold."""
        lease = self.store.lease
        return self.store.database.run(lambda session: leases.running(session, lease, self._study(session)), "read")

    def status(self) -> Status:
        """Every point and its state."""
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
        """Record what an agent is doing; return what ``stop_asked`` returns."""
        return self.store.database.run(lambda session: agents.report(session, self._study(session), agent, status))

    def forget(self, agent: str) -> None:
        """Remove an agent from the list."""
        self.store.database.run(lambda session: agents.forget(session, self._study(session), agent))

    def agents(self) -> list[Seen]:
        """Every agent that has reported and not been forgotten."""
        return self.store.database.run(lambda session: agents.agents(session, self._study(session)), "read")

    def ask_to_stop(self, mode: str) -> None:
        """Ask every agent to stop; an empty ``mode`` withdraws the request."""
        self.store.database.run(lambda session: agents.ask_to_stop(session, self._study(session), mode))

    def stop_asked(self) -> str:
        """``drain``, ``now`` or ``""``."""
        return self.store.database.run(lambda session: agents.stop_asked(session, self._study(session)), "read")

    def attempts(self) -> list[Attempt]:
        """Every attempt, including those at withdrawn points, oldest first."""
        attempts = self.store.database.run(lambda session: grid.attempts(session, self._study(session)), "read")
        return sorted(attempts, key=lambda attempt: attempt.number)

    def study(self) -> optuna.Study:
        """The Optuna study, for its public API (notes, plots)."""
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
                study_name=self.name,
                storage=self.store.database.rdb,
                directions=["maximize"] * len(names),
                load_if_exists=True,
            )
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
        if self._id is None:  # the id of a study never changes, so it is looked up once instead of at every claim
            self._id = find(session, self.name)
        return self._id


def find(session: orm.Session, name: str) -> int:
    """The study of a sweep. Raises UserError, naming the registered sweeps, if it is not one of them."""
    found = grid.find(session, name)
    if found is None:
        raise UserError(f"no registered sweep {name!r}; {closest(name, grid.names(session))}")
    return found


def _working(session: orm.Session, study: int, lease: Lease) -> bool:
    """Whether an agent holds a point, or has reported lately, by the database's clock."""
    held = any(one.silent <= lease.grace for one in leases.running(session, lease, study))
    return held or agents.alive(session, study, lease.grace)


def _queue_missing(session: orm.Session, study: int, definition: Definition, before: Sequence[Attempt]) -> None:
    """Queue the missing attempts and mark the settled ones (``rules``). The caller holds the lock."""
    missing = rules.missing(definition, before)
    if missing:
        grid.enqueue(session, study, missing, definition)
    grid.settle(session, study, [attempt.identifier for attempt in rules.settled(definition, before)])


def _draw(session: orm.Session, study: int) -> bool:
    """Queue the next point of a search; False if it has no further one."""
    if not grid.to_draw(session, study):
        return False
    grid.lock(session, study)
    definition = grid.load_definition(session, study)
    if not definition.to_draw:  # other agents drew the last points while this one waited for the lock
        return False
    definition, cells = sampler.extended(definition, grid.attempts(session, study))
    grid.store_definition(session, study, definition)
    if cells:
        grid.enqueue(session, study, [(cell, 1) for cell in cells], definition)
        session.flush()
    return bool(cells)
