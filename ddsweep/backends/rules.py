"""The rules of the queue, without storage or clock: the state of every point as a function of its attempts.

Both queues store a list of attempts; everything on which they must agree is computed here from that list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ddsweep.backends import Definition, Point, Row, State

WITHDRAWN = "withdrawn: no longer in the grid"


class Phase(StrEnum):
    """The life of one attempt: waiting → running → complete, pruned or failed; or waiting → withdrawn."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    PRUNED = "pruned"
    WITHDRAWN = "withdrawn"


BEGUN = (Phase.RUNNING, Phase.COMPLETE, Phase.FAILED, Phase.PRUNED)
LIVE = (Phase.WAITING, Phase.RUNNING, Phase.COMPLETE, Phase.PRUNED)  # a point with such an attempt needs no new attempt


@dataclass(frozen=True)
class Attempt:
    """One attempt at a point."""

    identifier: int
    number: int
    point: Point
    phase: Phase
    value: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    agent: str = ""
    reason: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    final: bool = False  # failed, and another attempt would fail the same way
    intermediate_values: dict[int, float] = field(default_factory=dict)  # accuracies by distillation step


def grouped(attempts: Iterable[Attempt]) -> dict[tuple[str, str], list[Attempt]]:
    """The attempts of every experiment, oldest first."""
    groups: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        groups[attempt.point.identity].append(attempt)
    return groups


def missing(definition: Definition, attempts: Iterable[Attempt]) -> list[tuple[Point, int]]:
    """The points that need an attempt, and its number (from 1).

    Such a point has no live attempt, fewer than ``max_attempts`` failed ones, and no final failure.
    """
    groups = grouped(attempts)
    points = []
    for point in definition.points:
        tried = groups.get(point.identity, ())
        spent = sum(attempt.phase is Phase.FAILED for attempt in tried)
        if spent < definition.max_attempts and not any(attempt.final or attempt.phase in LIVE for attempt in tried):
            points.append((point, spent + 1))
    return points


def obsolete(definition: Definition, attempts: Iterable[Attempt]) -> list[Attempt]:
    """The waiting attempts whose point is not in the grid any more."""
    identities = {point.identity for point in definition.points}
    return [
        attempt for attempt in attempts if attempt.phase is Phase.WAITING and attempt.point.identity not in identities
    ]


def settled(definition: Definition, attempts: Iterable[Attempt]) -> list[Attempt]:
    """The attempts that the sweep does not wait for, once the ``missing`` ones have been queued.

    A failed attempt has a successor or was the last; a running or waiting one does not count if its point is not in the
    grid any more. So a sweep is drained if every attempt is complete, pruned, withdrawn or settled.
    """
    identities = {point.identity for point in definition.points}
    outside = (Phase.WAITING, Phase.RUNNING)
    return [
        attempt
        for attempt in attempts
        if attempt.phase is Phase.FAILED or (attempt.phase in outside and attempt.point.identity not in identities)
    ]


def known(definition: Definition, attempts: Iterable[Attempt]) -> int:
    """The number of points of the grid with an attempt that was not withdrawn."""
    seen = {attempt.point.identity for attempt in attempts if attempt.phase is not Phase.WITHDRAWN}
    return sum(point.identity in seen for point in definition.points)


def pruned(step: int, accuracy: float) -> str:
    """The reason of a pruned attempt."""
    return f"pruned at step {step} with accuracy {100 * accuracy:.1f} %"


def expired(agent: str, grace: float) -> str:
    """The reason of an attempt whose lease has expired."""
    return f"lost: no heartbeat from {agent} for {grace:g} s"


def rows(definition: Definition, attempts: Iterable[Attempt]) -> list[Row]:
    """A row per point, in the order of the definition."""
    groups = grouped(attempts)
    return [_row(point, groups.get(point.identity, ()), definition.max_attempts) for point in definition.points]


def _row(point: Point, attempts: Sequence[Attempt], max_attempts: int) -> Row:
    begun = [attempt for attempt in attempts if attempt.phase in BEGUN]
    failed = [attempt for attempt in begun if attempt.phase is Phase.FAILED]
    live = [attempt for attempt in attempts if attempt.phase in LIVE]
    # between a failure and the next reconcile a point waits, though no attempt does
    idle = State.FAILED if len(failed) >= max_attempts or any(attempt.final for attempt in failed) else State.WAITING
    state = State(live[-1].phase.value) if live else idle
    last = next((attempt for attempt in reversed(live) if attempt in begun), begun[-1] if begun else None)
    reason = failed[-1].reason if failed else ""
    if last is None:
        return Row(point, state)
    if last.phase is Phase.PRUNED:
        reason = last.reason
    return Row(
        point, state, len(begun), reason, last.value, last.attributes, last.agent, last.started, last.finished,
        last.number, tuple(attempt.reason for attempt in failed),
    )  # fmt: skip
