"""ddsweep's attributes of Optuna's studies and trials, and how an attempt is read from them; needs no Optuna."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from ddsweep.backends import Point
from ddsweep.backends.rules import Attempt, Phase

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
REPEATED = OURS[:4]  # those that say what POINT says, a third of all rows

PHASES = {  # by the name of Optuna's state
    "WAITING": Phase.WAITING,
    "RUNNING": Phase.RUNNING,
    "COMPLETE": Phase.COMPLETE,
    "FAIL": Phase.FAILED,
    "PRUNED": Phase.WITHDRAWN,
}
CHUNK = 10_000  # values in one statement: SQLite takes 32766, PostgreSQL 65535


@dataclass(frozen=True)
class Trial:
    """A row of Optuna's trials.

    Attributes:
        identifier: its id.
        number: its number in the study.
        state: the name of its state.
        started: when an agent claimed it, in UTC without a time zone.
        finished: when it ended, likewise.
        value: its value.
    """

    identifier: int
    number: int
    state: str
    started: datetime | None
    finished: datetime | None
    value: float | None


def attempt(trial: Trial, point: Mapping[str, Any], user: Mapping[str, Any], values: dict[int, float]) -> Attempt:
    """The attempt that a trial is.

    Args:
        trial: its row.
        point: the attribute ``POINT``.
        user: its user attributes.
        values: its intermediate values by step.
    """
    attributes = {key: value for key, value in user.items() if key not in OURS}
    marks = {key for key in MARKS if key in point}
    phase = Phase.PRUNED if PRUNED in marks else PHASES[trial.state]
    started, finished = trial.started, trial.finished
    return Attempt(
        trial.identifier, trial.number, point_of(point) if marks else Point(**point), phase, trial.value, attributes,
        user.get("agent", ""), user.get("reason", ""), started and started.replace(tzinfo=UTC),
        finished and finished.replace(tzinfo=UTC), FINAL in marks, LOST in marks, PROGRESSED in marks,
        FORGIVEN in marks, values,
    )  # fmt: skip


def point_of(stored: Mapping[str, Any]) -> Point:
    """A stored point without the marks of its attempt."""
    return Point(**{key: value for key, value in stored.items() if key not in MARKS})


def loads(texts: Iterable[str]) -> list[Any]:
    """Parse many JSON texts as one, which takes a fifth of the time."""
    return list(json.loads(f"[{','.join(texts)}]"))


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """The values in lists short enough for one statement."""
    rest = list(values)
    for start in range(0, len(rest), CHUNK):
        yield rest[start : start + CHUNK]
