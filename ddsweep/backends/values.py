"""The plain values that pass through a backend: points, the definition of a sweep, and the state of each point."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from ddsweep.errors import NO_REASON, UserError

if TYPE_CHECKING:
    from ddsweep.sweep import QueueState, Sweep

Scalar = bool | int | float | str | None


@dataclass(frozen=True)
class Point:
    """One cell of a sweep, as a backend stores it.

    Two points are the same experiment if both ``id`` and ``key`` agree. Registering an id with another key (another
    profile, another schema) makes a new experiment, which is run; the old result stays in the history.

    Attributes:
        id: stable id of the cell within its sweep.
        params: the swept parameters and their values.
        key: the recipe's key.
        title: a short description of the cell.
        fields: of a point that a search has drawn, the fields of its recipe if the sweep has a plugin.
    """

    id: str
    params: dict[str, Scalar]
    key: str
    title: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, str]:
        """Equal for two points that are the same experiment."""
        return self.id, self.key


@dataclass(frozen=True)
class Definition:
    """A sweep as it is registered. It is stored, so that an agent on another machine needs no sweep file.

    Attributes:
        name: the sweep and its profile (``ablation-alpha@demo``).
        points: every cell, in the order in which they are claimed.
        definition: the resolved sweep as JSON (``Sweep.definition()``).
        max_attempts: the number of attempts before a failing point is given up.
        title: the question that the sweep answers.
        cap: the number of points of a search; those not in ``points`` yet are drawn when an agent claims one
            (``backends.sampler``). None: a grid, whose points are all known.

    Raises:
        UserError: two points have one id, or ``max_attempts`` is below 1.
    """

    name: str
    points: list[Point]
    definition: dict[str, Any] = field(default_factory=dict)
    max_attempts: int = 3
    title: str = ""
    cap: int | None = None

    def __post_init__(self) -> None:
        repeated = [identifier for identifier, count in Counter(point.id for point in self.points).items() if count > 1]
        if repeated:
            raise UserError(f"points: {self.name} has the id {repeated[0]!r} more than once")
        if self.max_attempts < 1:
            raise UserError(f"max_attempts: must be at least 1, is {self.max_attempts}")

    @classmethod
    def of(cls, sweep: Sweep) -> Self:
        """The definition of a loaded sweep; the key of a cell's recipe is its id."""
        points = [Point(cell.key, dict(cell.point), cell.key, sweep.cell_title(cell.recipe)) for cell in sweep.cells]
        cap = sweep.size if sweep.search else None
        return cls(sweep.full_name, points, sweep.definition(), sweep.max_attempts, sweep.title, cap)

    @property
    def to_draw(self) -> int:
        """The number of points that are still to be drawn."""
        return max(0, (self.cap or 0) - len(self.points))

    @property
    def size(self) -> int:
        """The number of points, including those still to be drawn."""
        return len(self.points) + self.to_draw

    def to_json(self) -> dict[str, Any]:
        """The definition as JSON; ``from_json`` is its inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The definition that ``to_json`` wrote.

        Raises:
            UserError: it was written by another version of ddsweep.
        """
        try:
            return cls(**{**value, "points": [Point(**point) for point in value["points"]]})
        except (KeyError, TypeError) as error:
            raise UserError(f"the registered sweep was written by another version of ddsweep ({error})") from None


@dataclass(frozen=True)
class Registered:
    """What ``register`` did.

    Attributes:
        added: points of this launch that are new.
        kept: points of this launch that existed before.
        withdrawn: waiting points that this launch does not have, and that left the sweep.
        earlier: points of earlier launches that stay in the sweep, though this launch does not have them.
        newer: points that left the sweep because this launch has them with another version of a plugin.
        unreadable: points with an outcome, or running, that left the sweep because their recipes cannot be read:
            another version of ddsweep has registered them, or a plugin or an image folder is missing.
        finished: ended points that ``alone`` took out of the sweep.
        running: running points that it took out; they end normally.
    """

    added: int
    kept: int
    withdrawn: int
    earlier: int = 0
    newer: int = 0
    unreadable: int = 0
    finished: int = 0
    running: int = 0


class State(StrEnum):
    """The state of a point.

    ``FAILED``: given up, no attempt is left. ``PRUNED``: ended early because others are better.
    """

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    PRUNED = "pruned"


@dataclass(frozen=True)
class Row:
    """One point of a sweep and its state.

    Attributes:
        point: the cell.
        state: its state.
        attempts: attempts started, including the running one; released and lost ones are not counted.
        reason: why the last attempt failed or was pruned; empty otherwise.
        value: the result of a complete point.
        attributes: the attributes passed to ``complete``.
        agent: the agent that runs it, or ran it last.
        started: when its last attempt began.
        finished: when its last attempt ended.
        number: the number of its last attempt in the storage (Optuna's trial number).
        reasons: why each failed attempt failed, oldest first; lost ones are left out, unless the point was given up
            because of them: then the last reason says so.
        lost: the number of attempts that were lost because their agent was killed or became unreachable.
        final: given up, and further attempts would fail the same way.
    """

    point: Point
    state: State
    attempts: int = 0
    reason: str = ""
    value: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    agent: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    number: int | None = None
    reasons: tuple[str, ...] = ()
    lost: int = 0
    final: bool = False


@dataclass(frozen=True)
class Seen:
    """The last report of an agent of a sweep.

    Attributes:
        status: the fields of ``trackers.status.AgentStatus``.
        age: seconds since the report, by the storage's clock only.
    """

    status: dict[str, Any]
    age: float


@dataclass(frozen=True)
class Status:
    """A snapshot of a sweep: a row per point, in the order of the definition.

    Attributes:
        name: the sweep.
        rows: its points.
        to_draw: the number of points that a search has still to draw.
    """

    name: str
    rows: list[Row]
    to_draw: int = 0

    @property
    def size(self) -> int:
        """The number of points, including those still to be drawn."""
        return len(self.rows) + self.to_draw

    @property
    def progress(self) -> dict[str, QueueState]:
        """What tables show of each cell without a result, by key; a failed one has a reason."""
        from ddsweep.sweep import QueueState

        explained = (State.FAILED, State.PRUNED)
        return {
            row.point.key: QueueState(row.state.value, (row.reason or NO_REASON) if row.state in explained else "")
            for row in self.rows
        }

    @property
    def retryable(self) -> list[Row]:
        """The points that were given up and may succeed if they are tried again."""
        return [row for row in self.rows if row.state is State.FAILED and not row.final]

    @property
    def retrying(self) -> list[Row]:
        """The points that wait for another attempt after one that failed; ``Row.reasons`` say why."""
        return [row for row in self.rows if row.state is State.WAITING and row.reasons]

    def count(self, state: State) -> int:
        """The number of points in ``state``."""
        return sum(row.state is state for row in self.rows)

    @property
    def counts(self) -> dict[State, int]:
        """The number of points in each state, in the order of the states, including zeros."""
        return {state: self.count(state) for state in State}

    @property
    def ended(self) -> int:
        """The number of points that are complete, pruned or given up."""
        return self.done + self.count(State.FAILED)

    @property
    def done(self) -> int:
        """The number of points that are complete or pruned."""
        return self.count(State.COMPLETE) + self.count(State.PRUNED)

    @property
    def drained(self) -> bool:
        """Whether every point is complete, pruned or given up, and none is still to be drawn."""
        return self.ended == self.size


@dataclass(frozen=True)
class Lease:
    """How long an agent keeps a point without sending a heartbeat.

    Attributes:
        beat: seconds between two heartbeats.
        grace: seconds without a heartbeat after which another agent may claim the point. Only the storage's clock
            is used, so the clocks of agents may differ.
    """

    beat: float = 30.0
    grace: float = 180.0

    def __post_init__(self) -> None:
        if not 0 < self.beat < self.grace:
            raise UserError(f"lease: needs 0 < beat < grace, has beat {self.beat:g} and grace {self.grace:g}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """``BEAT,GRACE`` in seconds; empty: the default.

        Raises:
            UserError: the text has another form.
        """
        try:
            beat, grace = (float(part) for part in text.split(",")) if text else (cls.beat, cls.grace)
        except ValueError:
            raise UserError(f"lease: write BEAT,GRACE in seconds (for instance 30,180), not {text!r}") from None
        return cls(beat, grace)


@dataclass(frozen=True)
class Held:
    """A cell that an agent holds.

    Attributes:
        sweep: its sweep.
        point: the cell.
        agent: the holder, HOST:PID.
        silent: seconds since its last heartbeat, by the storage's clock; 0 if there has been none yet.
        lease: heartbeat and grace.
    """

    sweep: str
    point: Point
    agent: str
    silent: float
    lease: Lease

    @property
    def overdue(self) -> bool:
        """Whether a heartbeat is missing, so that the agent may be dead."""
        return self.silent > 1.5 * self.lease.beat

    @property
    def expires_in(self) -> float:
        """Seconds until the lease expires; negative if it has expired, and nobody has looked since."""
        return self.lease.grace - self.silent
