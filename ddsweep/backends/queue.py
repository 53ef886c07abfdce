"""The books of the queue in Optuna's tables: every contact with what Optuna does not document is in this module.

Why not Optuna's own methods: claiming (state, heartbeat and holder), answering (state, value and attributes) and
re-queueing (fail and enqueue) take it several transactions each, and an agent may be killed between any two of them.
Here each is one. Registering 1000 points is one as well.

Every function takes the session of a transaction that the caller opened (``storage.Database.transaction``). On
PostgreSQL they lock what they decide upon: the study's row for whatever adds attempts, the trial's row for whatever
answers one.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from optuna import distributions
from optuna.storages._rdb import models as m
from optuna.trial import TrialState
from sqlalchemy import orm

from ddsweep.backends import Definition, Point, axes
from ddsweep.backends.ledger import Attempt, Phase

DEFINITION = "ddsweep:definition"  # system attribute of a study
POINT = "ddsweep:point"  # system attribute of a trial: the whole point
LEASE = "ddsweep:lease"  # system attribute of a trial: the token of its present holder
OURS = ("point", "key", "title", "attempt", "agent", "reason")  # user attributes: what people read in the dashboard

PHASES = {
    TrialState.WAITING: Phase.WAITING,
    TrialState.RUNNING: Phase.RUNNING,
    TrialState.COMPLETE: Phase.COMPLETE,
    TrialState.FAIL: Phase.FAILED,
    TrialState.PRUNED: Phase.WITHDRAWN,
}


def names(session: orm.Session) -> list[str]:
    """The registered sweeps."""
    query = sa.select(m.StudyModel.study_name).join(m.StudySystemAttributeModel)
    return list(session.scalars(query.where(m.StudySystemAttributeModel.key == DEFINITION).order_by("study_name")))


def find(session: orm.Session, name: str) -> tuple[int, Definition] | None:
    """The study of a registered sweep and its definition; None if it is not registered."""
    table = m.StudySystemAttributeModel
    query = sa.select(table.study_id, table.value_json).join(m.StudyModel)
    row = session.execute(query.where(m.StudyModel.study_name == name, table.key == DEFINITION)).one_or_none()
    return None if row is None else (row.study_id, Definition.from_json(json.loads(row.value_json)))


def lock(session: orm.Session, study: int) -> None:
    """Be the only one who adds attempts to this study until the transaction ends."""
    session.execute(sa.select(m.StudyModel.study_id).where(m.StudyModel.study_id == study).with_for_update())


def store_definition(session: orm.Session, study: int, definition: Definition) -> None:
    """Keep the definition with the study."""
    table, text = m.StudySystemAttributeModel, json.dumps(definition.to_json())
    session.execute(sa.delete(table).where(table.study_id == study, table.key == DEFINITION))
    session.add(table(study_id=study, key=DEFINITION, value_json=text))


def attempts(session: orm.Session, study: int, *, details: bool = True) -> list[Attempt]:
    """Every attempt of a study. Without ``details`` only what the rules of the ledger look at: twice as fast."""
    trial, value, user = m.TrialModel, m.TrialValueModel, m.TrialUserAttributeModel
    point = orm.aliased(m.TrialSystemAttributeModel)
    query = (
        sa.select(
            trial.trial_id, trial.number, trial.state, trial._datetime_start_utc, trial._datetime_complete_utc,
            point.value_json, value.value,
        )
        .join(point, (point.trial_id == trial.trial_id) & (point.key == POINT))
        .outerjoin(value, value.trial_id == trial.trial_id)
        .where(trial.study_id == study)
    )  # fmt: skip
    attributes: dict[int, dict[str, Any]] = defaultdict(dict)
    if details:
        pairs = sa.select(user.trial_id, user.key, user.value_json).join(trial).where(trial.study_id == study)
        for identifier, key, text in session.execute(pairs):
            attributes[identifier][key] = json.loads(text)
    return [_attempt(row, attributes[row[0]]) for row in session.execute(query)]


def _attempt(row: Sequence[Any], user: Mapping[str, Any]) -> Attempt:
    identifier, number, state, started, finished, point, value = row
    told = {key: value for key, value in user.items() if key not in OURS}
    return Attempt(
        identifier, number, Point(**json.loads(point)), PHASES[state], value, told, user.get("agent", ""),
        user.get("reason", ""), started and started.replace(tzinfo=UTC), finished and finished.replace(tzinfo=UTC),
    )  # fmt: skip


def enqueue(session: orm.Session, study: int, wanted: Iterable[tuple[Point, int]], points: Iterable[Point]) -> None:
    """Add waiting attempts to a grid of ``points``. The caller holds ``lock``, so the numbers are ours to give."""
    kinds = retype(session, study, points)
    count = session.scalar(sa.select(sa.func.count()).where(m.TrialModel.study_id == study)) or 0
    for number, (point, attempt) in enumerate(wanted, start=count):
        shown = {"point": point.id, "key": point.key, "title": point.title, "attempt": attempt}
        system = {POINT: {"id": point.id, "params": point.params, "key": point.key, "title": point.title}}
        session.add(
            m.TrialModel(
                study_id=study,
                number=number,
                state=TrialState.WAITING,
                params=[_param(name, value, kinds) for name, value in point.params.items()],
                user_attributes=_attributes(m.TrialUserAttributeModel, shown),
                system_attributes=_attributes(m.TrialSystemAttributeModel, system),
            )
        )


def _param(name: str, value: Any, kinds: Mapping[str, distributions.BaseDistribution]) -> m.TrialParamModel:
    kind = kinds[name]
    text = distributions.distribution_to_json(kind)
    return m.TrialParamModel(param_name=name, param_value=kind.to_internal_repr(value), distribution_json=text)


def _attributes(table: Any, values: Mapping[str, Any]) -> list[Any]:
    return [table(key=key, value_json=json.dumps(value)) for key, value in values.items()]


def retype(session: orm.Session, study: int, points: Iterable[Point]) -> dict[str, distributions.BaseDistribution]:
    """The distribution of every axis over all its values, stored and new; stored rows of other ones are re-written.

    The number in a row means a choice only together with its distribution, so both change in one statement.
    """
    table = m.TrialParamModel
    query = sa.select(table.param_name, table.distribution_json, table.param_value).distinct().join(m.TrialModel)
    stored = [
        (name, text, internal, distributions.json_to_distribution(text))
        for name, text, internal in session.execute(query.where(m.TrialModel.study_id == study))
    ]
    values: dict[str, list[Any]] = defaultdict(list)
    for point in points:
        for name, value in point.params.items():
            values[name].append(value)
    for name, _, internal, kind in stored:
        values[name].append(kind.to_external_repr(internal))
    kinds = {name: axes.distribution(taken) for name, taken in values.items()}
    ours = sa.select(m.TrialModel.trial_id).where(m.TrialModel.study_id == study)
    for name, text, internal, kind in stored:
        new = distributions.distribution_to_json(kinds[name])
        if new != text:
            same = (table.param_name == name) & (table.distribution_json == text) & (table.param_value == internal)
            changed = {"distribution_json": new, "param_value": axes.translate(internal, kind, kinds[name])}
            session.execute(sa.update(table).where(same, table.trial_id.in_(ours)).values(changed))
    return kinds


def claim(session: orm.Session, study: int, agent: str, token: str) -> tuple[int, Point, int] | None:
    """Waiting → running, with the first heartbeat and the holder's token. The trial, its point, which attempt it is."""
    trial = m.TrialModel
    query = sa.select(trial).where(trial.study_id == study, trial.state == TrialState.WAITING)
    # an agent that is about to take the first trial must not make the others wait for it: they take the next
    taken = session.scalar(query.order_by(trial.number).limit(1).with_for_update(skip_locked=True))
    if taken is None:
        return None
    taken.state, taken._datetime_start_utc = TrialState.RUNNING, _now()
    identifier = taken.trial_id
    session.execute(sa.delete(m.TrialHeartbeatModel).where(m.TrialHeartbeatModel.trial_id == identifier))
    session.add(m.TrialHeartbeatModel(trial_id=identifier))
    _put(session, m.TrialUserAttributeModel, identifier, {"agent": agent})
    _put(session, m.TrialSystemAttributeModel, identifier, {LEASE: token})
    point = _get(session, m.TrialSystemAttributeModel, identifier, POINT)
    return identifier, Point(**point), _get(session, m.TrialUserAttributeModel, identifier, "attempt")


def beat(session: orm.Session, trial: int, token: str) -> bool:
    """Note, by the database's clock, that the holder lives. False if the lease is not its own any more."""
    table = m.TrialHeartbeatModel
    statement = sa.update(table).where(table.trial_id == trial, _held(trial, token).exists())
    result = session.execute(statement.values(heartbeat=sa.func.current_timestamp()))
    return bool(result.rowcount)  # type: ignore[attr-defined]


def _held(trial: int, token: str) -> sa.Select[Any]:
    lease = m.TrialSystemAttributeModel
    same = (lease.trial_id == m.TrialModel.trial_id) & (lease.key == LEASE) & (lease.value_json == json.dumps(token))
    query = sa.select(m.TrialModel).join(lease, same)
    return query.where(m.TrialModel.trial_id == trial, m.TrialModel.state == TrialState.RUNNING)


def complete(session: orm.Session, trial: int, token: str, value: float, attributes: Mapping[str, Any]) -> bool:
    """Running → complete, with value and attributes. False if the lease is not the holder's any more."""
    held = session.scalar(_held(trial, token).with_for_update(of=m.TrialModel))
    if held is None:
        return False
    told = {key: value for key, value in attributes.items() if key not in OURS}
    _put(session, m.TrialUserAttributeModel, trial, told)
    stored, kind = m.TrialValueModel.value_to_stored_repr(value)
    session.add(m.TrialValueModel(trial_id=trial, objective=0, value=stored, value_type=kind))
    held.state, held._datetime_complete_utc = TrialState.COMPLETE, _now()
    return True


def fail(session: orm.Session, trial: int, token: str, reason: str) -> bool:
    """Running → failed. False if the lease is not the holder's any more."""
    held = session.scalar(_held(trial, token).with_for_update(of=m.TrialModel))
    if held is not None:
        _end(session, held, TrialState.FAIL, reason)
    return held is not None


def release(session: orm.Session, trial: int, token: str) -> bool:
    """Running → waiting, as if it had never been claimed. False if the lease is not the holder's any more."""
    held = session.scalar(_held(trial, token).with_for_update(of=m.TrialModel))
    if held is None:
        return False
    held.state, held._datetime_start_utc = TrialState.WAITING, None
    _drop(session, m.TrialUserAttributeModel, trial, ["agent"])
    _drop(session, m.TrialSystemAttributeModel, trial, [LEASE])
    return True


def expire(session: orm.Session, study: int, grace: float) -> None:
    """Fail every running attempt that was not heard of for ``grace`` seconds by the database's clock.

    One without a heartbeat (claimed by some other program) gets its first here, and so its time starts now.
    """
    trial, heart = m.TrialModel, m.TrialHeartbeatModel
    running = (trial.study_id == study) & (trial.state == TrialState.RUNNING)
    heartless = sa.select(trial.trial_id).outerjoin(heart).where(running, heart.trial_id.is_(None))
    session.add_all([heart(trial_id=identifier) for identifier in session.scalars(heartless)])
    now = session.scalar(sa.select(sa.func.now()))
    assert now is not None
    silent = heart.heartbeat < now.replace(tzinfo=None) - timedelta(seconds=grace)
    # skip_locked: its holder is answering at this very moment, or froze while it did; either way it is not ours to fail
    query = sa.select(trial).join(heart).where(running, silent).with_for_update(of=trial, skip_locked=True)
    for held in session.scalars(query).all():
        agent = _get(session, m.TrialUserAttributeModel, held.trial_id, "agent")
        _end(session, held, TrialState.FAIL, f"lost: {agent} was not heard of for {grace:g} s")


def withdraw(session: orm.Session, waiting: Iterable[int], reason: str) -> int:
    """Waiting → withdrawn (Optuna's PRUNED); how many there were. One that was claimed meanwhile is left alone."""
    trial = m.TrialModel
    query = sa.select(trial).where(trial.trial_id.in_(list(waiting)), trial.state == TrialState.WAITING)
    found = session.scalars(query.with_for_update()).all()
    for one in found:
        _end(session, one, TrialState.PRUNED, reason)
    return len(found)


def _end(session: orm.Session, trial: m.TrialModel, state: TrialState, reason: str) -> None:
    trial.state, trial._datetime_complete_utc = state, _now()
    _put(session, m.TrialUserAttributeModel, trial.trial_id, {"reason": reason})


def _json(value: Any) -> str:
    return json.dumps(value, default=str)  # an odd attribute may not cost the result that it comes with


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)  # as Optuna stores it


def _get(session: orm.Session, table: Any, trial: Any, key: str) -> Any:
    text = session.scalar(sa.select(table.value_json).where(table.trial_id == trial, table.key == key))
    return None if text is None else json.loads(text)


def _put(session: orm.Session, table: Any, trial: Any, values: Mapping[str, Any]) -> None:
    _drop(session, table, trial, values)
    session.add_all([table(trial_id=trial, key=key, value_json=_json(value)) for key, value in values.items()])


def _drop(session: orm.Session, table: Any, trial: Any, keys: Iterable[str]) -> None:
    session.execute(sa.delete(table).where(table.trial_id == trial, table.key.in_(list(keys))))
