"""The rules of the queue, without storage or clock: the state of every point as a function of its attempts.

Both queues store a list of attempts; everything on which they must agree is computed here from that list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from ddsweep import text
from ddsweep.backends import Definition, Point, Row, State
from ddsweep.percent import percent

WITHDRAWN = "withdrawn: no longer in the grid"
MAX_LOSSES = 10  # agents that a point may lose in a row without a new checkpoint in between


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
    """One attempt at a point.

    A failed attempt is *lost* if its agent did not record that it failed: the agent was killed, or its host went down
    or became unreachable. That is no failure of the point, and does not count towards ``max_attempts``.
    """

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
    lost: bool = False  # failed because its lease expired or its agent's process is gone
    progress: bool = False  # a checkpoint was saved during it
    forgiven: bool = False  # failed, but not counted any more, because the user asked to retry the point
    intermediate_values: dict[int, float] = field(default_factory=dict)  # accuracies by distillation step


def grouped(attempts: Iterable[Attempt]) -> dict[tuple[str, str], list[Attempt]]:
    """The attempts of every experiment, oldest first."""
    groups: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        groups[attempt.point.identity].append(attempt)
    return groups


def missing(definition: Definition, attempts: Iterable[Attempt]) -> list[tuple[Point, int]]:
    """The points that need an attempt, and its number (from 1).

    Such a point has no live attempt and is not given up.
    """
    groups = grouped(attempts)
    points = []
    for point in definition.points:
        tried = [attempt for attempt in groups.get(point.identity, ()) if attempt.phase is not Phase.WITHDRAWN]
        if not given_up(tried, definition.max_attempts) and not any(attempt.phase in LIVE for attempt in tried):
            points.append((point, number(tried)))
    return points


def number(attempts: Iterable[Attempt]) -> int:
    """The number of a point's next attempt, from 1; a lost attempt gives its number to the next one."""
    return 1 + sum(attempt.phase is Phase.FAILED and not attempt.lost for attempt in attempts)


def given_up(attempts: Iterable[Attempt], max_attempts: int) -> bool:
    """Whether a point gets no further attempt after these failed ones.

    Each of these ends it: a final failure; ``max_attempts`` failures that its agents recorded; ``MAX_LOSSES`` agents
    lost in a row without a new checkpoint in between. A point whose agents are killed again and again while it moves
    forward is never given up.
    """
    tried = list(attempts)
    return is_final(tried) or failures(tried) >= max_attempts or losses(tried) >= MAX_LOSSES


def is_final(attempts: Iterable[Attempt]) -> bool:
    """Whether any further attempt would fail the same way."""
    return any(attempt.final and attempt.phase is Phase.FAILED for attempt in attempts)


def failures(attempts: Iterable[Attempt]) -> int:
    """The number of failed attempts that count towards ``max_attempts``."""
    return sum(
        attempt.phase is Phase.FAILED and not (attempt.lost or attempt.forgiven or attempt.final)
        for attempt in attempts
    )


def losses(attempts: Iterable[Attempt]) -> int:
    """The number of agents lost since the last checkpoint; the attempts of one point, oldest first."""
    count = 0
    for attempt in attempts:
        if attempt.lost and attempt.phase is Phase.FAILED and not attempt.forgiven:
            count = 1 if attempt.progress else count + 1
    return count


def retried(definition: Definition, attempts: Iterable[Attempt]) -> list[Attempt]:
    """The failed attempts to forgive, so that every point which was given up is tried again, unless in vain."""
    groups, forgiven = grouped(attempts), []
    for point in definition.points:
        tried = groups.get(point.identity, [])
        live = any(attempt.phase in LIVE for attempt in tried)
        if given_up(tried, definition.max_attempts) and not is_final(tried) and not live:
            forgiven += [attempt for attempt in tried if attempt.phase is Phase.FAILED]
    return forgiven


def obsolete(definition: Definition, attempts: Iterable[Attempt]) -> list[Attempt]:
    """The waiting attempts whose point is not in the grid any more."""
    identities = {point.identity for point in definition.points}
    return [
        attempt for attempt in attempts if attempt.phase is Phase.WAITING and attempt.point.identity not in identities
    ]


def ended(definition: Definition, attempts: Iterable[Attempt], keys: Collection[str]) -> list[Attempt]:
    """The complete and failed attempts at points of the grid with these keys."""
    identities = {point.identity for point in definition.points if point.key in keys}
    return [one for one in attempts if one.phase in (Phase.COMPLETE, Phase.FAILED) and one.point.identity in identities]


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


def remembered(definition: Definition, attempts: Iterable[Attempt]) -> Definition:
    """A definition with a point for every experiment that has begun, for a sweep whose own cannot be read."""
    points = {one.point.id: one.point for one in attempts if one.phase in BEGUN}
    return replace(definition, points=list(points.values()))


def pruned(step: int, accuracy: float) -> str:
    """The reason of a pruned attempt."""
    return f"pruned at step {step} with accuracy {percent(accuracy)} %"


def expired(agent: str, grace: float) -> str:
    """The reason of an attempt whose lease has expired."""
    return f"lost: no heartbeat from {agent} for {grace:g} s"


def killed(agent: str) -> str:
    """The reason of an attempt whose agent's process is gone from this host."""
    return f"lost: {agent} was killed"


def often_lost(count: int, last: Attempt) -> str:
    """The reason of a point that was given up because it lost too many agents."""
    when = f" at {text.moment(last.finished)}" if last.finished else ""
    where = f" on {last.agent.partition(':')[0]}" if last.agent else ""
    return (
        f"its agent was killed {count} times without a new checkpoint in between (last{where}{when}); "
        "the cell itself may be the cause, for example by running out of memory"
    )


def rows(definition: Definition, attempts: Iterable[Attempt]) -> list[Row]:
    """A row per point, in the order of the definition."""
    groups = grouped(attempts)
    return [_row(point, groups.get(point.identity, ()), definition.max_attempts) for point in definition.points]


def _row(point: Point, attempts: Sequence[Attempt], max_attempts: int) -> Row:
    begun = [attempt for attempt in attempts if attempt.phase in BEGUN]
    failed = [attempt for attempt in begun if attempt.phase is Phase.FAILED]
    live = [attempt for attempt in attempts if attempt.phase in LIVE]
    # between a failure and the next reconcile a point waits, though no attempt does
    idle = State.FAILED if given_up(failed, max_attempts) else State.WAITING
    state = State(live[-1].phase.value) if live else idle
    last = next((attempt for attempt in reversed(live) if attempt in begun), begun[-1] if begun else None)
    if last is None:
        return Row(point, state)
    lost, reason = sum(attempt.lost for attempt in begun), _reason(state, failed, last, max_attempts)
    reasons = [attempt.reason for attempt in failed if not attempt.lost]
    if state is State.FAILED and reason not in reasons:  # it was given up because it lost too many agents
        reasons.append(reason)
    return Row(
        point, state, len(begun) - lost, reason, last.value, last.attributes, last.agent, last.started, last.finished,
        last.number, tuple(reasons), lost, state is State.FAILED and is_final(failed),
    )  # fmt: skip


def _reason(state: State, failed: Sequence[Attempt], last: Attempt, max_attempts: int) -> str:
    """Why a point was pruned or given up, or why its last attempt failed."""
    if last.phase is Phase.PRUNED:
        return last.reason
    lost = [attempt for attempt in failed if attempt.lost]
    own = [attempt for attempt in failed if not attempt.lost]
    if state is State.FAILED and own and (is_final(own) or failures(own) >= max_attempts):
        return own[-1].reason
    if state is State.FAILED and lost:
        return often_lost(losses(lost), lost[-1])
    return failed[-1].reason if failed else ""
