"""The rules of the queue, without storage or clock: what the attempts so far say about every point.

Both implementations keep a list of attempts; everything they must agree on is computed here from that list.
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


LIVE = (Phase.WAITING, Phase.RUNNING, Phase.COMPLETE, Phase.PRUNED)  # one of these, and the point needs no new attempt


@dataclass(frozen=True)
class Attempt:
    """One entry of the books."""

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
    final: bool = False  # failed, and another attempt would find the same
    intermediate_values: dict[int, float] = field(default_factory=dict)  # accuracies by distillation step


def grouped(attempts: Iterable[Attempt]) -> dict[tuple[str, str], list[Attempt]]:
    """Attempts by experiment, oldest first."""
    groups: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda one: one.number):
        groups[attempt.point.identity].append(attempt)
    return groups


def missing(definition: Definition, attempts: Iterable[Attempt]) -> list[tuple[Point, int]]:
    """The points that need an attempt, and its number (from 1).

    None is live, fewer than ``max_attempts`` have failed, and none of them for good.
    """
    groups = grouped(attempts)
    wanted = []
    for point in definition.points:
        tried = groups.get(point.identity, ())
        spent = sum(attempt.phase is Phase.FAILED for attempt in tried)
        if spent < definition.max_attempts and not any(one.final or one.phase in LIVE for one in tried):
            wanted.append((point, spent + 1))
    return wanted


def obsolete(definition: Definition, attempts: Iterable[Attempt]) -> list[Attempt]:
    """The waiting attempts whose point is not in the grid (any more)."""
    identities = {point.identity for point in definition.points}
    return [one for one in attempts if one.phase is Phase.WAITING and one.point.identity not in identities]


def settled(definition: Definition, attempts: Iterable[Attempt]) -> list[Attempt]:
    """The attempts that the sweep does not wait for, once what is ``missing`` has been queued.

    A failed one has its successor or was the last; one that runs or waits does not count if its point has left the
    grid. So a sweep is drained when every attempt that is neither complete, pruned nor withdrawn is settled.
    """
    identities = {point.identity for point in definition.points}
    outside = (Phase.WAITING, Phase.RUNNING)
    return [
        one
        for one in attempts
        if one.phase is Phase.FAILED or (one.phase in outside and one.point.identity not in identities)
    ]


def known(definition: Definition, attempts: Iterable[Attempt]) -> int:
    """How many points of the grid have an attempt that was not withdrawn."""
    seen = {one.point.identity for one in attempts if one.phase is not Phase.WITHDRAWN}
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
    begun = [one for one in attempts if one.phase in (Phase.RUNNING, Phase.COMPLETE, Phase.FAILED, Phase.PRUNED)]
    failed = [one for one in begun if one.phase is Phase.FAILED]
    live = [one for one in attempts if one.phase in LIVE]
    # between a failure and the next reconcile a point waits, though no attempt does
    idle = State.FAILED if len(failed) >= max_attempts or any(one.final for one in failed) else State.WAITING
    state = State(live[-1].phase.value) if live else idle
    last = next((one for one in reversed(live) if one in begun), begun[-1] if begun else None)
    reason = failed[-1].reason if failed else ""
    if last is None:
        return Row(point, state)
    if last.phase is Phase.PRUNED:
        reason = last.reason
    return Row(
        point, state, len(begun), reason, last.value, last.attributes, last.agent, last.started, last.finished,
        last.number, tuple(one.reason for one in failed),
    )  # fmt: skip
