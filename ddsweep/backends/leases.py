"""Which cells are held at the moment, in all sweeps of a storage, and how long their holders have been silent."""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlalchemy as sa
from optuna.storages._rdb import models as m
from optuna.trial import TrialState
from sqlalchemy import orm

from ddsweep.backends import Point, tables


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
