"""Optuna's tables and ddsweep's attributes in them; used by ``grid`` and ``claims``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from optuna.trial import TrialState
from sqlalchemy import orm

from ddsweep.backends.rules import Phase

T = TypeVar("T")

DEFINITION = "ddsweep:definition"  # system attribute of a study
POINT = "ddsweep:point"  # system attribute of a trial: the whole point
LEASE = "ddsweep:lease"  # system attribute of a trial: the token of its current or last lease
HOLDER = "ddsweep:holder"  # system attribute of a trial: the process that holds it (``processes.identity``)
PROGRESS = "ddsweep:progress"  # system attribute of a trial: a checkpoint was saved since it was queued
NOTE = "ddsweep:note"  # system attribute of a trial: what the agent that released it left for the next
AGENT = "ddsweep:agent:"  # prefix of a study's system attributes: what an agent is doing
STOP = "ddsweep:stop"  # system attribute of a study: drain or now
FINAL = "final"  # in POINT: the attempt failed, and another one would fail the same way
LOST = "lost"  # in POINT: the attempt failed because its agent was killed or became unreachable
PROGRESSED = "progressed"  # in POINT, next to LOST: a checkpoint was saved during the attempt
FORGIVEN = "forgiven"  # in POINT: the failed attempt does not count, because the user asked to retry the point
SEARCH = "ddsweep:search"  # system attribute of a study: the number of points still to be drawn
PRUNED = "pruned"  # in POINT: the attempt was pruned; Optuna's PRUNED without this mark means withdrawn
SETTLED = "ddsweep:settled"  # system attribute of a trial: the sweep does not wait for it (``rules.settled``)
MARKS = (FINAL, PRUNED, LOST, PROGRESSED, FORGIVEN)
OURS = ("point", "key", "title", "attempt", "agent", "reason")  # user attributes: what people read in the dashboard

PHASES = {
    TrialState.WAITING: Phase.WAITING,
    TrialState.RUNNING: Phase.RUNNING,
    TrialState.COMPLETE: Phase.COMPLETE,
    TrialState.FAIL: Phase.FAILED,
    TrialState.PRUNED: Phase.WITHDRAWN,
}
CHUNK = 10_000  # values in one statement: SQLite takes 32766, PostgreSQL 65535
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


def loads(texts: Iterable[str]) -> list[Any]:
    """Parse many JSON texts as one, which takes a fifth of the time."""
    return list(json.loads(f"[{','.join(texts)}]"))


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """The values in lists short enough for one statement."""
    rest = list(values)
    for start in range(0, len(rest), CHUNK):
        yield rest[start : start + CHUNK]


def now() -> datetime:
    """The time as Optuna stores it."""
    return datetime.now(UTC).replace(tzinfo=None)
