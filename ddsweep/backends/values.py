"""The plain values that cross a backend: points, the definition of a sweep, and how each point fares."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from ddsweep.errors import UserError

if TYPE_CHECKING:
    from ddsweep.sweep import Sweep

Scalar = bool | int | float | str | None


@dataclass(frozen=True)
class Point:
    """One cell of a sweep as it travels through a backend.

    A point is the same experiment as long as both ``id`` and ``key`` are: registering an id with another key (another
    scale, another schema) makes it a new experiment, which is run, and leaves the old result in the history.

    Attributes:
        id: stable id of the cell within its sweep.
        params: the swept choices.
        key: the recipe's key.
        title: the cell in a few words.
    """

    id: str
    params: dict[str, Scalar]
    key: str
    title: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two points the same experiment."""
        return self.id, self.key


@dataclass(frozen=True)
class Definition:
    """A sweep as it is registered; kept in the storage, so that an agent on another machine needs no file.

    Attributes:
        name: the sweep and its scale (``ablation-alpha@demo``).
        points: every cell, in the order in which they are to run.
        definition: the resolved sweep as JSON (``Sweep.definition()``).
        max_attempts: how often a failing point is tried.
        title: what the sweep asks.
        cap: how many points there will be; those that are not in ``points`` yet are drawn when an agent asks for work
            (``backends.search``). None: a grid has the points that it has.

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
        twice = [one for one, count in Counter(point.id for point in self.points).items() if count > 1]
        if twice:
            raise UserError(f"points: {self.name} has the id {twice[0]!r} more than once")
        if self.max_attempts < 1:
            raise UserError(f"max_attempts: must be at least 1, is {self.max_attempts}")

    @classmethod
    def of(cls, sweep: Sweep) -> Self:
        """A sweep file's sweep, loaded, as a backend keeps it: a cell's recipe key is its id."""
        points = [Point(cell.key, dict(cell.point), cell.key, cell.recipe.title()) for cell in sweep.cells]
        cap = sweep.size if sweep.search else None
        return cls(sweep.full_name, points, sweep.definition(), sweep.max_attempts, sweep.title, cap)

    @property
    def to_draw(self) -> int:
        """How many points are still to be drawn."""
        return max(0, (self.cap or 0) - len(self.points))

    @property
    def size(self) -> int:
        """How many points there are, or will be."""
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
    """What ``register`` changed: points added, points that were there already, waiting points that were withdrawn."""

    added: int
    kept: int
    withdrawn: int


class State(StrEnum):
    """Where a point stands.

    ``FAILED`` means given up: every attempt is spent. ``PRUNED`` means that others are better: it was ended on its way.
    """

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    PRUNED = "pruned"


@dataclass(frozen=True)
class Row:
    """One point of a sweep and how it fares.

    Attributes:
        point: the cell.
        state: where it stands.
        attempts: attempts begun, the running one included; those that were released are not counted.
        reason: why the last attempt failed, or the point was pruned; empty when neither is so.
        value: the result of a complete point.
        attributes: what ``complete`` was told beside the value.
        agent: who runs it, or who ran it last.
        started: when its last attempt began.
        finished: when its last attempt ended.
        number: the number of its last attempt in the storage (Optuna's trial number).
        reasons: why each failed attempt failed, oldest first.
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


@dataclass(frozen=True)
class Seen:
    """An agent of a sweep as it last reported.

    Attributes:
        status: what it said: the fields of ``trackers.status.AgentStatus``.
        age: seconds since then, by the storage's clock alone.
    """

    status: dict[str, Any]
    age: float


@dataclass(frozen=True)
class Status:
    """A sweep at one moment: a row per point, in the order of the definition.

    Attributes:
        name: the sweep.
        rows: its points.
        to_draw: how many further points a search will have.
    """

    name: str
    rows: list[Row]
    to_draw: int = 0

    @property
    def size(self) -> int:
        """How many points there are, or will be."""
        return len(self.rows) + self.to_draw

    def count(self, state: State) -> int:
        """How many points are in ``state``."""
        return sum(row.state is state for row in self.rows)

    @property
    def counts(self) -> dict[State, int]:
        """How many points are in each state; the states in order, zeros included."""
        return {state: self.count(state) for state in State}

    @property
    def ended(self) -> int:
        """How many points are complete, pruned or given up."""
        return self.done + self.count(State.FAILED)

    @property
    def done(self) -> int:
        """How many points are complete or pruned: nothing is wrong with them."""
        return self.count(State.COMPLETE) + self.count(State.PRUNED)

    @property
    def drained(self) -> bool:
        """Whether every point is complete, pruned or given up, and none is to come."""
        return self.ended == self.size


@dataclass(frozen=True)
class Lease:
    """How long a point stays with an agent that is not heard of.

    Attributes:
        beat: seconds between two heartbeats.
        grace: seconds without one after which the point is given to somebody else. The storage's clock is the
            only one that is read, so clocks of agents may differ.
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
            UserError: something else.
        """
        try:
            beat, grace = (float(part) for part in text.split(",")) if text else (cls.beat, cls.grace)
        except ValueError:
            raise UserError(f"lease: write BEAT,GRACE in seconds (for instance 30,180), not {text!r}") from None
        return cls(beat, grace)
