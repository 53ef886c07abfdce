"""Leases in Optuna's tables: which agent holds which trial, and taking trials from agents that are dead.

``expire`` fails the trials whose holders have stopped sending heartbeats, ``recover`` those whose holders ran on this
host and are gone. Both mark the attempts as lost (``rules``): the point itself has not failed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from optuna.storages._rdb import models as m
from optuna.trial import TrialState
from sqlalchemy import orm

from ddsweep import processes
from ddsweep.backends import Held, Lease, rules
from ddsweep.backends.optuna import grid, tables

BEATS = 2  # heartbeat intervals after a storage outage during which no lease expires


def expire(session: orm.Session, study: int, lease: Lease) -> None:
    """Fail every running trial whose last heartbeat is older than the lease's grace, by the database's clock.

    A trial without a heartbeat (claimed by some other program) gets its first one here, so its grace starts now.
    """
    trial, heartbeat = m.TrialModel, m.TrialHeartbeatModel
    running = (trial.study_id == study) & (trial.state == TrialState.RUNNING)
    missing = sa.select(trial.trial_id).outerjoin(heartbeat).where(running, heartbeat.trial_id.is_(None))
    session.add_all([heartbeat(trial_id=identifier) for identifier in session.scalars(missing)])
    if _just_started(session, BEATS * lease.beat):
        return
    now = session.scalar(sa.select(sa.func.now()))
    assert now is not None
    silent = heartbeat.heartbeat < now.replace(tzinfo=None) - timedelta(seconds=lease.grace)
    _lose(
        session,
        sa.select(trial).join(heartbeat).where(running, silent),
        lambda agent: rules.expired(agent, lease.grace),
    )


def recover(session: orm.Session, study: int) -> None:
    """Fail every running trial whose holder was a process of this host that has ended: it cannot come back."""
    trial, holder = m.TrialModel, m.TrialSystemAttributeModel
    query = sa.select(trial.trial_id, holder.value_json).join(
        holder, (holder.trial_id == trial.trial_id) & (holder.key == tables.HOLDER)
    )
    rows = session.execute(query.where(trial.study_id == study, trial.state == TrialState.RUNNING)).all()
    dead = [identifier for identifier, text in rows if processes.has_ended(json.loads(text))]
    if dead:
        running = trial.trial_id.in_(dead) & (trial.state == TrialState.RUNNING)
        _lose(session, sa.select(trial).where(running), rules.killed)


def _lose(session: orm.Session, query: sa.Select[Any], reason: Callable[[str], str]) -> None:
    # skip_locked: the holder is recording an outcome right now, or froze while it did; either way, do not fail it
    for lost in session.scalars(query.with_for_update(of=m.TrialModel, skip_locked=True)).all():
        lost.state, lost._datetime_complete_utc = TrialState.FAIL, tables.now()
        agent = tables.get(session, m.TrialUserAttributeModel, lost.trial_id, "agent")
        progress = tables.get(session, m.TrialSystemAttributeModel, lost.trial_id, tables.PROGRESS)
        tables.drop(session, m.TrialSystemAttributeModel, lost.trial_id, [tables.LEASE, tables.HOLDER])
        tables.put(session, m.TrialUserAttributeModel, lost.trial_id, {"reason": reason(agent or "its agent")})
        grid.mark(session, [lost.trial_id], tables.LOST, *([tables.PROGRESSED] if progress else []))


def _just_started(session: orm.Session, seconds: float) -> bool:
    """Whether the server has been up for less than ``seconds``: before that it could receive no heartbeats."""
    if session.get_bind().dialect.name != "postgresql":
        return False
    return bool(
        session.scalar(sa.text("SELECT now() - pg_postmaster_start_time() < make_interval(secs => :s)"), {"s": seconds})
    )


def running(session: orm.Session, lease: Lease, study: int | None = None) -> list[Held]:
    """The cells that are held in one sweep, or in any of the storage; studies of other programs are skipped.

    On PostgreSQL the session's time zone has to be UTC, which is how heartbeats are stored.
    """
    trial, heartbeat, sweep = m.TrialModel, m.TrialHeartbeatModel, m.StudyModel
    point = orm.aliased(m.TrialSystemAttributeModel)
    agent = orm.aliased(m.TrialUserAttributeModel)
    query = (
        sa.select(sweep.study_name, point.value_json, agent.value_json, heartbeat.heartbeat)
        .select_from(trial)
        .join(sweep, sweep.study_id == trial.study_id)
        .join(point, (point.trial_id == trial.trial_id) & (point.key == tables.POINT))
        .outerjoin(agent, (agent.trial_id == trial.trial_id) & (agent.key == "agent"))
        .outerjoin(heartbeat, heartbeat.trial_id == trial.trial_id)
        .where(trial.state == TrialState.RUNNING, *([] if study is None else [trial.study_id == study]))
        .order_by(sweep.study_name, trial.number)
    )
    now = session.scalar(sa.select(sa.func.now()))
    assert now is not None
    return [
        Held(
            name, tables.point_of(json.loads(where)), json.loads(who) if who else "",
            max(0.0, (now.replace(tzinfo=None) - beat).total_seconds()) if beat else 0.0,
            lease,
        )
        for name, where, who, beat in session.execute(query)
    ]  # fmt: skip
