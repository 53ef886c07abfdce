"""Claims in Optuna's tables: who holds which trial, until when, and what became of it.

Why not Optuna's own methods: claiming (state, heartbeat and holder), answering (state, value and attributes) and
re-queueing (fail and enqueue) take it several transactions each, and an agent may be killed between any two of them.
Here each is one: every function takes the session of a transaction that the caller opened (``storage.Database``). On
PostgreSQL they lock what they decide upon, the trial's row.

A commit whose confirmation was lost with the connection may or may not have happened. The caller tries again, and
asks ``holding`` and ``answered`` first: the token of a claim tells what was its own doing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from optuna.storages._rdb import models as m
from optuna.trial import TrialState
from sqlalchemy import orm

from ddsweep.backends import Lease, Point, rules
from ddsweep.backends.optuna import tables

Claimed = tuple[int, Point, int, dict[str, Any]]  # the trial, its point, which attempt it is, the note left with it
METRIC_NAMES = "study:metric_names"  # Optuna's system attribute of a study
BEATS = 2  # as many beats long nobody is declared dead after the storage was away for all


def claim(session: orm.Session, study: int, agent: str, token: str) -> Claimed | None:
    """Waiting → running, with the first heartbeat and the holder's token; None when nothing waits."""
    trial = m.TrialModel
    query = sa.select(trial.trial_id).where(trial.study_id == study, trial.state == TrialState.WAITING)
    # an agent that is about to take the first trial must not make the others wait for it: they take the next
    taken = session.scalar(query.order_by(trial.number).limit(1).with_for_update(skip_locked=True))
    if taken is None:
        return None
    begun = {"state": TrialState.RUNNING, "_datetime_start_utc": tables.now()}
    session.execute(sa.update(trial).where(trial.trial_id == taken).values(begun))
    session.execute(sa.delete(m.TrialHeartbeatModel).where(m.TrialHeartbeatModel.trial_id == taken))
    session.execute(sa.insert(m.TrialHeartbeatModel).values(trial_id=taken, heartbeat=sa.func.current_timestamp()))
    tables.put(session, m.TrialUserAttributeModel, taken, {"agent": agent})
    tables.put(session, m.TrialSystemAttributeModel, taken, {tables.LEASE: token})
    return _claimed(session, taken)


def holding(session: orm.Session, study: int, token: str) -> Claimed | None:
    """What the holder of ``token`` has claimed; None if its claim never was."""
    trial = m.TrialModel
    query = sa.select(trial.trial_id).where(trial.study_id == study, trial.state == TrialState.RUNNING)
    taken = session.scalar(query.where(_leased(token)))
    return None if taken is None else _claimed(session, taken)


def _claimed(session: orm.Session, trial: int) -> Claimed:
    point = tables.get(session, m.TrialSystemAttributeModel, trial, tables.POINT)
    note = tables.get(session, m.TrialSystemAttributeModel, trial, tables.NOTE) or {}
    return trial, Point(**point), tables.get(session, m.TrialUserAttributeModel, trial, "attempt"), note


def _leased(token: str) -> sa.ColumnElement[bool]:
    """Whether the token of a trial is this one."""
    lease = m.TrialSystemAttributeModel
    same = (lease.trial_id == m.TrialModel.trial_id) & (lease.key == tables.LEASE)
    return sa.exists().where(same, lease.value_json == json.dumps(token))


def beat(session: orm.Session, trial: int, token: str) -> bool:
    """Note, by the database's clock, that the holder lives. False if the lease is not its own any more."""
    table = m.TrialHeartbeatModel
    statement = sa.update(table).where(table.trial_id == trial, _held(trial, token).exists())
    result = session.execute(statement.values(heartbeat=sa.func.current_timestamp()))
    return bool(result.rowcount)  # type: ignore[attr-defined]


def hold(session: orm.Session, trial: int, token: str) -> bool:
    """Lock the trial until the transaction ends, so that the lease cannot pass on. False if it is not the holder's."""
    return session.scalar(_held(trial, token).with_for_update(of=m.TrialModel)) is not None


def _held(trial: int, token: str) -> sa.Select[Any]:
    query = sa.select(m.TrialModel).where(m.TrialModel.trial_id == trial, m.TrialModel.state == TrialState.RUNNING)
    return query.where(_leased(token))


def answered(session: orm.Session, trial: int, token: str, state: TrialState) -> bool:
    """Whether the holder of ``token`` has brought the trial into ``state``, and it still is."""
    one = m.TrialModel
    query = sa.select(one.trial_id).where(one.trial_id == trial, one.state == state, _leased(token))
    return session.scalar(query) is not None


def complete(session: orm.Session, trial: int, token: str, value: float, attributes: Mapping[str, Any]) -> bool:
    """Running → complete, with value and attributes. False if the lease is not the holder's any more.

    Where the study has several objectives, they are attributes by these names, and ``value`` is not among them.
    """
    held = session.scalar(_held(trial, token).with_for_update(of=m.TrialModel))
    if held is None:
        return False
    told = {key: value for key, value in attributes.items() if key not in tables.OURS}
    tables.put(session, m.TrialUserAttributeModel, trial, told)
    names = objectives(session, held.study_id)
    for index, one in enumerate([attributes[name] for name in names] if len(names) > 1 else [value]):
        stored, kind = m.TrialValueModel.value_to_stored_repr(float(one))
        session.add(m.TrialValueModel(trial_id=trial, objective=index, value=stored, value_type=kind))
    held.state, held._datetime_complete_utc = TrialState.COMPLETE, tables.now()
    return True


def objectives(session: orm.Session, study: int) -> list[str]:
    """What a study maximises, by the names that Optuna keeps for its dashboard."""
    table = m.StudySystemAttributeModel
    text = session.scalar(sa.select(table.value_json).where(table.study_id == study, table.key == METRIC_NAMES))
    return list(json.loads(text)) if text else []


def look(session: orm.Session, trial: int, token: str, step: int, accuracy: float) -> bool:
    """Keep an accuracy on the way. False if the lease is not the holder's any more."""
    if not hold(session, trial, token):
        return False
    table = m.TrialIntermediateValueModel
    session.execute(sa.delete(table).where(table.trial_id == trial, table.step == step))
    stored, kind = table.intermediate_value_to_stored_repr(accuracy)
    row = {"trial_id": trial, "step": step, "intermediate_value": stored, "intermediate_value_type": kind}
    tables.insert(session, table, [row])
    return True


def prune(session: orm.Session, trial: int, token: str, step: int, accuracy: float) -> bool:
    """Running → pruned. False if the lease is not the holder's any more."""
    held = session.scalar(_held(trial, token).with_for_update(of=m.TrialModel))
    if held is None:
        return False
    held.state, held._datetime_complete_utc = TrialState.PRUNED, tables.now()
    tables.put(session, m.TrialUserAttributeModel, trial, {"reason": rules.pruned(step, accuracy)})
    point = tables.get(session, m.TrialSystemAttributeModel, trial, tables.POINT)
    tables.put(session, m.TrialSystemAttributeModel, trial, {tables.POINT: {**point, tables.PRUNED: True}})
    return True


def fail(session: orm.Session, trial: int, token: str, reason: str, final: bool = False) -> bool:
    """Running → failed, with ``final`` for good. False if the lease is not the holder's any more."""
    held = session.scalar(_held(trial, token).with_for_update(of=m.TrialModel))
    if held is not None:
        _fail(session, trial, reason)
    if held is not None and final:
        point = tables.get(session, m.TrialSystemAttributeModel, trial, tables.POINT)
        tables.put(session, m.TrialSystemAttributeModel, trial, {tables.POINT: {**point, tables.FINAL: True}})
    return held is not None


def release(session: orm.Session, trial: int, token: str, note: Mapping[str, Any]) -> bool:
    """Running → waiting, as if it had never been claimed, but for the note. False if the lease is not the holder's."""
    held = session.scalar(_held(trial, token).with_for_update(of=m.TrialModel))
    if held is None:
        return False
    held.state, held._datetime_start_utc = TrialState.WAITING, None
    tables.drop(session, m.TrialUserAttributeModel, trial, ["agent"])
    tables.drop(session, m.TrialSystemAttributeModel, trial, [tables.NOTE])
    if note:
        tables.put(session, m.TrialSystemAttributeModel, trial, {tables.NOTE: dict(note)})
    return True


def expire(session: orm.Session, study: int, lease: Lease) -> None:
    """Fail every running attempt that was not heard of for the lease's grace, by the database's clock.

    One without a heartbeat (claimed by some other program) gets its first here, and so its time starts now.
    """
    trial, heart = m.TrialModel, m.TrialHeartbeatModel
    running = (trial.study_id == study) & (trial.state == TrialState.RUNNING)
    heartless = sa.select(trial.trial_id).outerjoin(heart).where(running, heart.trial_id.is_(None))
    session.add_all([heart(trial_id=identifier) for identifier in session.scalars(heartless)])
    if _just_started(session, BEATS * lease.beat):
        return
    now = session.scalar(sa.select(sa.func.now()))
    assert now is not None
    silent = heart.heartbeat < now.replace(tzinfo=None) - timedelta(seconds=lease.grace)
    # skip_locked: its holder is answering at this very moment, or froze while it did; either way it is not ours to fail
    query = sa.select(trial.trial_id).join(heart).where(running, silent).with_for_update(of=trial, skip_locked=True)
    for held in session.scalars(query).all():
        agent = tables.get(session, m.TrialUserAttributeModel, held, "agent")
        tables.drop(session, m.TrialSystemAttributeModel, held, [tables.LEASE])
        _fail(session, held, f"lost: {agent} was not heard of for {lease.grace:g} s")


def _just_started(session: orm.Session, seconds: float) -> bool:
    """Whether the server has been up for less than ``seconds``: before, no heart could be heard, dead or alive."""
    if session.get_bind().dialect.name != "postgresql":
        return False
    return bool(
        session.scalar(sa.text("SELECT now() - pg_postmaster_start_time() < make_interval(secs => :s)"), {"s": seconds})
    )


def _fail(session: orm.Session, trial: int, reason: str) -> None:
    ended = {"state": TrialState.FAIL, "_datetime_complete_utc": tables.now()}
    session.execute(sa.update(m.TrialModel).where(m.TrialModel.trial_id == trial).values(ended))
    tables.put(session, m.TrialUserAttributeModel, trial, {"reason": reason})


@dataclass(frozen=True)
class Held:
    """A cell in the hands of an agent.

    Attributes:
        sweep: its sweep.
        point: the cell.
        agent: the holder, HOST:PID.
        silent: seconds since its last heartbeat, by the storage's clock; 0 where it has had none yet.
    """

    sweep: str
    point: Point
    agent: str
    silent: float


def running(session: orm.Session) -> list[Held]:
    """Of every sweep of ours; studies that others keep in the same storage are left out.

    On PostgreSQL the session's time zone has to be UTC, which is how heartbeats are stored.
    """
    trial, heart, study = m.TrialModel, m.TrialHeartbeatModel, m.StudyModel
    point = orm.aliased(m.TrialSystemAttributeModel)
    agent = orm.aliased(m.TrialUserAttributeModel)
    query = (
        sa.select(study.study_name, point.value_json, agent.value_json, heart.heartbeat)
        .select_from(trial)
        .join(study, study.study_id == trial.study_id)
        .join(point, (point.trial_id == trial.trial_id) & (point.key == tables.POINT))
        .outerjoin(agent, (agent.trial_id == trial.trial_id) & (agent.key == "agent"))
        .outerjoin(heart, heart.trial_id == trial.trial_id)
        .where(trial.state == TrialState.RUNNING)
        .order_by(study.study_name, trial.number)
    )
    now = session.scalar(sa.select(sa.func.now()))
    assert now is not None
    return [
        Held(
            name, Point(**json.loads(where)), json.loads(who) if who else "",
            max(0.0, (now.replace(tzinfo=None) - beat).total_seconds()) if beat else 0.0,
        )
        for name, where, who, beat in session.execute(query)
    ]  # fmt: skip
