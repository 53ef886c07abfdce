"""The agents of a sweep in Optuna's tables: what each is doing, and whether they were asked to stop.

Both are system attributes of the study, which Optuna stores and does not interpret. Times are the database's: the
clocks of agents and readers may differ by hours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from optuna.storages._rdb import models as m
from sqlalchemy import orm

from ddsweep.backends import Seen
from ddsweep.backends.optuna import tables
from ddsweep.processes import has_ended, identity

TABLE = m.StudySystemAttributeModel
GONE = timedelta(days=1)  # agents that were killed are removed after this time, when another one ends


def report(session: orm.Session, study: int, agent: str, status: Mapping[str, Any]) -> str:
    """Replace the record of an agent; return what ``stop_asked`` returns."""
    _put(session, study, tables.AGENT + agent, {"at": _now(session), "status": dict(status), "process": identity()})
    return stop_asked(session, study)


def forget(session: orm.Session, study: int, agent: str) -> None:
    """Delete the record of an agent, and of agents that have not reported for a day."""
    _drop(session, study, tables.AGENT + agent)
    for seen in agents(session, study):
        if seen.age > GONE.total_seconds():
            _drop(session, study, f"{tables.AGENT}{seen.status['agent']}")


def agents(session: orm.Session, study: int) -> list[Seen]:
    """The records of all agents, sorted by name."""
    query = sa.select(TABLE.value_json).where(TABLE.study_id == study, TABLE.key.startswith(tables.AGENT))
    rows, now = tables.loads(session.scalars(query.order_by(TABLE.key)).all()), _now(session)
    return [Seen(row["status"], max(0.0, now - row["at"])) for row in rows]


def alive(session: orm.Session, study: int, seconds: float) -> bool:
    """Whether an agent has reported within this time, other than a process of this host that has ended."""
    query = sa.select(TABLE.value_json).where(TABLE.study_id == study, TABLE.key.startswith(tables.AGENT))
    rows, now = tables.loads(session.scalars(query).all()), _now(session)
    return any(now - row["at"] <= seconds and not has_ended(row.get("process", {})) for row in rows)


def ask_to_stop(session: orm.Session, study: int, mode: str) -> None:
    """Record how the agents are asked to stop; an empty ``mode`` withdraws the request."""
    if mode:
        _put(session, study, tables.STOP, mode)
    else:
        _drop(session, study, tables.STOP)


def stop_asked(session: orm.Session, study: int) -> str:
    """How the agents are asked to stop; empty: they are not."""
    text = session.scalar(sa.select(TABLE.value_json).where(TABLE.study_id == study, TABLE.key == tables.STOP))
    return json.loads(text) if text else ""


def _now(session: orm.Session) -> float:
    """Seconds since the epoch by the database's clock."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    seconds = "(julianday('now') - 2440587.5) * 86400.0" if sqlite else "extract(epoch from clock_timestamp())"
    return float(session.scalar(sa.text(f"SELECT {seconds}")) or 0.0)


def _put(session: orm.Session, study: int, key: str, value: Any) -> None:
    _drop(session, study, key)
    session.execute(sa.insert(TABLE).values(study_id=study, key=key, value_json=tables.dumps(value)))


def _drop(session: orm.Session, study: int, key: str) -> None:
    session.execute(sa.delete(TABLE).where(TABLE.study_id == study, TABLE.key == key))
