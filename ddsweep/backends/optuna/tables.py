"""Optuna's tables and ddsweep's attributes in them; used by ``grid`` and ``claims``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from ddsweep.backends.optuna.attributes import AGENT as AGENT
from ddsweep.backends.optuna.attributes import CHUNK as CHUNK
from ddsweep.backends.optuna.attributes import DEFINITION as DEFINITION
from ddsweep.backends.optuna.attributes import FINAL as FINAL
from ddsweep.backends.optuna.attributes import FORGIVEN as FORGIVEN
from ddsweep.backends.optuna.attributes import HOLDER as HOLDER
from ddsweep.backends.optuna.attributes import LEASE as LEASE
from ddsweep.backends.optuna.attributes import LOST as LOST
from ddsweep.backends.optuna.attributes import MARKS as MARKS
from ddsweep.backends.optuna.attributes import NOTE as NOTE
from ddsweep.backends.optuna.attributes import OURS as OURS
from ddsweep.backends.optuna.attributes import POINT as POINT
from ddsweep.backends.optuna.attributes import PROGRESS as PROGRESS
from ddsweep.backends.optuna.attributes import PROGRESSED as PROGRESSED
from ddsweep.backends.optuna.attributes import PRUNED as PRUNED
from ddsweep.backends.optuna.attributes import REPEATED as REPEATED
from ddsweep.backends.optuna.attributes import SEARCH as SEARCH
from ddsweep.backends.optuna.attributes import SETTLED as SETTLED
from ddsweep.backends.optuna.attributes import STOP as STOP
from ddsweep.backends.optuna.attributes import chunks as chunks
from ddsweep.backends.optuna.attributes import loads as loads
from ddsweep.backends.optuna.attributes import point_of as point_of

INDEX = "ix_ddsweep_queue"


def create_index(engine: sa.Engine) -> None:
    """Add the index by which the next waiting trial is found.

    Without it, Optuna searches all trials of the study: 10 ms per claim at 100,000 trials, growing with their number.
    An index changes neither Optuna's schema nor its version, and does not affect migrations or the dashboard.
    """
    if INDEX in {index["name"] for index in sa.inspect(engine).get_indexes("trials")}:
        return
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE INDEX IF NOT EXISTS {INDEX} ON trials (study_id, state, number)"))


def insert(session: orm.Session, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, in one statement if the database supports that."""
    if rows:
        session.execute(sa.insert(table), list(rows))


def analyze(session: orm.Session) -> None:
    """Update PostgreSQL's statistics before it plans a claim.

    It does so by itself about a minute after many rows were added. Until then it assumes that a new sweep has few
    trials, and reads 100,000 of them for a claim: 8 ms instead of 2. SQLite's plans do not change.
    """
    if session.get_bind().dialect.name == "postgresql":
        names = "trials", "trial_heartbeats", "trial_system_attributes", "trial_user_attributes"
        session.execute(sa.text(f"ANALYZE {', '.join(names)}"))


def get(session: orm.Session, table: Any, trial: int, key: str) -> Any:
    """One attribute of a trial; None if it has none."""
    text = session.scalar(sa.select(table.value_json).where(table.trial_id == trial, table.key == key))
    return None if text is None else json.loads(text)


def put(session: orm.Session, table: Any, trial: int, values: Mapping[str, Any]) -> None:
    """Set attributes of a trial."""
    if values:
        drop(session, table, trial, values)
        insert(session, table, [{"trial_id": trial, "key": key, "value_json": dumps(values[key])} for key in values])


def drop(session: orm.Session, table: Any, trial: int, keys: Iterable[str]) -> None:
    """Remove attributes of a trial."""
    session.execute(sa.delete(table).where(table.trial_id == trial, table.key.in_(list(keys))))


def dumps(value: Any) -> str:
    """JSON, with ``str`` for unknown types: an unusual attribute must not cost the result."""
    return json.dumps(value, default=str)


def now() -> datetime:
    """The time as Optuna stores it."""
    return datetime.now(UTC).replace(tzinfo=None)
