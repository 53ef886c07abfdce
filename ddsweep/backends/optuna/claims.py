"""Claims in Optuna's tables: which agent holds which trial, when its lease expires, and how its attempt ended.

``take`` claims a trial, ``OptunaClaim`` is what its holder does with it; ``leases`` takes it from a dead holder.

Optuna's own methods are not used because claiming (state, heartbeat and holder), recording an outcome (state, value and
attributes) and re-queuing (fail and enqueue) take several transactions each, and an agent may be killed between any two
of them. Here each is one transaction. On PostgreSQL it locks the row that it decides about, the trial's.

If the connection breaks during a commit, the commit may or may not have happened. ``Database.run`` then runs the
transaction again, and the token of the lease shows whether the first run was committed (``taken``, ``_recorded``).
"""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from optuna.artifacts import upload_artifact
from optuna.storages._rdb import models as m
from optuna.trial import TrialState
from sqlalchemy import orm

from ddsweep import processes
from ddsweep.backends import Point, bands, rules
from ddsweep.backends.claim import Claim
from ddsweep.backends.optuna import artifacts, grid, tables
from ddsweep.backends.optuna.artifacts import Artifacts
from ddsweep.backends.optuna.database import Database, one_line

METRIC_NAMES = "study:metric_names"  # Optuna's system attribute of a study
TrialRow = Any  # a row of m.TrialModel; Optuna does not annotate its columns


@dataclass(frozen=True)
class Taken:
    """A trial that was just claimed.

    Attributes:
        trial: Optuna's id of the trial.
        token: marks the lease of this claim.
        point: the cell to run.
        attempt: the number of this attempt, counting from 1.
        note: what the previous holder left.
    """

    trial: int
    token: str
    point: Point
    attempt: int
    note: dict[str, Any]


def take(session: orm.Session, study: int, agent: str, token: str, keys: Collection[str] | None = None) -> Taken | None:
    """Waiting → running, with the first heartbeat and the token of the lease; None if no trial is waiting.

    ``keys``: only a trial whose point has one of these keys; None: any.
    """
    trial = m.TrialModel
    query = sa.select(trial.trial_id).where(trial.study_id == study, trial.state == TrialState.WAITING)
    if keys is not None:
        key = m.TrialUserAttributeModel
        named = key.value_json.in_([json.dumps(one) for one in keys])
        query = query.where(sa.exists().where(key.trial_id == trial.trial_id, key.key == "key", named))
    # skip_locked: while one agent takes the first trial, the others take the next ones instead of waiting
    first = session.scalar(query.order_by(trial.number).limit(1).with_for_update(skip_locked=True))
    if first is None:
        return None
    begun = {"state": TrialState.RUNNING, "_datetime_start_utc": tables.now()}
    session.execute(sa.update(trial).where(trial.trial_id == first).values(begun))
    session.execute(sa.delete(m.TrialHeartbeatModel).where(m.TrialHeartbeatModel.trial_id == first))
    session.execute(sa.insert(m.TrialHeartbeatModel).values(trial_id=first, heartbeat=sa.func.current_timestamp()))
    tables.put(session, m.TrialUserAttributeModel, first, {"agent": agent})
    held = {tables.LEASE: token, tables.HOLDER: processes.identity()}
    tables.put(session, m.TrialSystemAttributeModel, first, held)
    return _read(session, first, token)


def taken(session: orm.Session, study: int, token: str) -> Taken | None:
    """The running trial that ``take`` has claimed with this token; None if that was never committed."""
    trial = m.TrialModel
    query = sa.select(trial.trial_id).where(trial.study_id == study, trial.state == TrialState.RUNNING)
    identifier = session.scalar(query.where(_has_token(token)))
    return None if identifier is None else _read(session, identifier, token)


def _read(session: orm.Session, trial: int, token: str) -> Taken:
    point = tables.get(session, m.TrialSystemAttributeModel, trial, tables.POINT)
    note = tables.get(session, m.TrialSystemAttributeModel, trial, tables.NOTE) or {}
    attempt = tables.get(session, m.TrialUserAttributeModel, trial, "attempt")
    return Taken(trial, token, Point(**point), attempt, note)


class OptunaClaim(Claim):
    """A running trial in Optuna's tables, held by one agent (see ``Claim``).

    Args:
        taken: the trial, as ``take`` claimed it.
        interval: seconds between two heartbeats.
        database: the storage.
        pictures: the images that the dashboard shows.
    """

    def __init__(self, taken: Taken, interval: float, database: Database, pictures: Artifacts) -> None:
        super().__init__(taken.point, taken.attempt, taken.note, interval)
        self._trial, self._token = taken.trial, taken.token
        self._database, self._pictures = database, pictures
        self._progress_recorded = False

    def heartbeat(self) -> bool:
        """Renew the lease, by the database's clock, and record the first progress."""
        news = self.progressed and not self._progress_recorded

        def transaction(session: orm.Session) -> bool:
            table = m.TrialHeartbeatModel
            statement = sa.update(table).where(table.trial_id == self._trial, self._own_trial().exists())
            result = session.execute(statement.values(heartbeat=sa.func.current_timestamp()))
            held = bool(result.rowcount)  # type: ignore[attr-defined]
            if held and news:
                tables.put(session, m.TrialSystemAttributeModel, self._trial, {tables.PROGRESS: True})
            return held

        held = self._database.run(transaction)
        self._progress_recorded |= news
        return held

    def report(self, step: int, accuracy: float) -> bool:
        """Record an intermediate accuracy; return whether the trial passes its band (``bands``)."""

        def transaction(session: orm.Session) -> bool:
            held = self._lock(session)
            if held is None:
                return True
            table = m.TrialIntermediateValueModel
            session.execute(sa.delete(table).where(table.trial_id == self._trial, table.step == step))
            value, kind = table.intermediate_value_to_stored_repr(float(accuracy))
            row = {"trial_id": self._trial, "step": step, "intermediate_value": value, "intermediate_value_type": kind}
            tables.insert(session, table, [row])
            grid.lock(session, held.study_id)  # two trials that reach a band at the same time must see each other
            definition = grid.load_definition(session, held.study_id)
            return bands.passes(definition, grid.attempts(session, held.study_id, details=False), self._trial, step)

        return self._database.run(transaction)

    def attach(self, path: Path, name: str) -> None:
        """Store a copy of a file and link it to the trial; only before the outcome is recorded."""
        rdb = self._database.rdb
        # Optuna stores a file under the name that it has
        with one_line(self._database.url), tempfile.TemporaryDirectory() as folder:
            upload_artifact(
                artifact_store=self._pictures,
                file_path=str(shutil.copy(path, Path(folder, name))),
                study_or_trial=rdb.get_trial(self._trial),
                storage=rdb,
            )

    def keep(self, contents: Mapping[str, bytes]) -> bool:
        """Store the files of the point's result."""

        def transaction(session: orm.Session) -> bool:
            if self._lock(session) is None:
                return False
            artifacts.keep(session, self.point.key, contents)
            return True

        return self._database.run(transaction)

    def _complete(self, value: float, attributes: Mapping[str, Any]) -> bool:
        """Running → complete. If the study has several objectives, they are read from the attributes instead."""

        def write(session: orm.Session, trial: TrialRow) -> None:
            _end(trial, TrialState.COMPLETE)
            own = {key: value for key, value in attributes.items() if key not in tables.OURS}
            tables.put(session, m.TrialUserAttributeModel, trial.trial_id, own)
            names = objectives(session, trial.study_id)
            for index, objective in enumerate([attributes[name] for name in names] if len(names) > 1 else [value]):
                stored, kind = m.TrialValueModel.value_to_stored_repr(float(objective))
                row = {"trial_id": trial.trial_id, "objective": index, "value": stored, "value_type": kind}
                session.add(m.TrialValueModel(**row))

        return self._write(TrialState.COMPLETE, write)

    def _fail(self, reason: str, final: bool) -> bool:
        """Running → failed."""

        def write(session: orm.Session, trial: TrialRow) -> None:
            _end(trial, TrialState.FAIL)
            tables.put(session, m.TrialUserAttributeModel, trial.trial_id, {"reason": reason})
            if final:
                grid.mark(session, [trial.trial_id], tables.FINAL)

        return self._write(TrialState.FAIL, write)

    def _prune(self, step: int, accuracy: float) -> bool:
        """Running → pruned."""

        def write(session: orm.Session, trial: TrialRow) -> None:
            _end(trial, TrialState.PRUNED)
            reason = rules.pruned(step, accuracy)
            tables.put(session, m.TrialUserAttributeModel, trial.trial_id, {"reason": reason})
            grid.mark(session, [trial.trial_id], tables.PRUNED)

        return self._write(TrialState.PRUNED, write)

    def _release(self, note: Mapping[str, Any]) -> bool:
        """Running → waiting, as if it had never been claimed, except for the note."""

        def write(session: orm.Session, trial: TrialRow) -> None:
            trial.state, trial._datetime_start_utc = TrialState.WAITING, None
            tables.drop(session, m.TrialUserAttributeModel, trial.trial_id, ["agent"])
            tables.drop(session, m.TrialSystemAttributeModel, trial.trial_id, [tables.NOTE])
            if note:
                tables.put(session, m.TrialSystemAttributeModel, trial.trial_id, {tables.NOTE: dict(note)})

        return self._write(TrialState.WAITING, write)

    def _write(self, state: TrialState, write: Callable[[orm.Session, TrialRow], None]) -> bool:
        """Bring the trial into ``state``, in one transaction. False, and nothing is written, if the lease was lost."""
        runs = itertools.count()

        def transaction(session: orm.Session) -> bool:
            if next(runs) and self._recorded_before(session, state):
                return True
            trial = self._lock(session)
            if trial is not None:
                write(session, trial)
            return trial is not None

        return self._database.run(transaction)

    def _lock(self, session: orm.Session) -> TrialRow | None:
        """The trial, locked until the transaction ends so that the lease cannot expire; None if it was lost."""
        return session.scalar(self._own_trial().with_for_update(of=m.TrialModel))

    def _own_trial(self) -> sa.Select[Any]:
        trial = m.TrialModel
        query = sa.select(trial).where(trial.trial_id == self._trial, trial.state == TrialState.RUNNING)
        return query.where(_has_token(self._token))

    def _recorded_before(self, session: orm.Session, state: TrialState) -> bool:
        """Whether an earlier run of the transaction has brought the trial into ``state``."""
        trial = m.TrialModel
        query = sa.select(trial.trial_id).where(trial.trial_id == self._trial, trial.state == state)
        return session.scalar(query.where(_has_token(self._token))) is not None


def _has_token(token: str) -> sa.ColumnElement[bool]:
    """Whether a trial's lease, current or last, is the one with this token."""
    lease = m.TrialSystemAttributeModel
    same = (lease.trial_id == m.TrialModel.trial_id) & (lease.key == tables.LEASE)
    return sa.exists().where(same, lease.value_json == json.dumps(token))


def _end(trial: TrialRow, state: TrialState) -> None:
    trial.state, trial._datetime_complete_utc = state, tables.now()


def objectives(session: orm.Session, study: int) -> list[str]:
    """What a study maximizes, by the names that Optuna stores for its dashboard."""
    table = m.StudySystemAttributeModel
    text = session.scalar(sa.select(table.value_json).where(table.study_id == study, table.key == METRIC_NAMES))
    return list(json.loads(text)) if text else []
