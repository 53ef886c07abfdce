"""Backends: who runs which point of a sweep, exactly once. The protocol, and the plain values that cross it.

A grid is a queue of points with leases (``ledger`` has the rules, ``optuna`` and ``memory`` keep the books)::

    store = connect("runs/ddsweep.db", artifacts=Path("runs/artifacts"))
    backend = store.sweep("ablation-alpha@demo")
    backend.register(definition)                  # idempotent; the same call extends a changed grid

    while True:                                   # an agent, in any process, on any machine
        claim = backend.claim(agent="gpu0")
        if claim is None:
            backend.reconcile()                   # an idle agent looks after those that died
            if backend.drained():
                break
            time.sleep(2)
            continue
        with claim:                               # the heart beats inside this block
            try:
                claim.complete(0.613, {"accuracy_std": 0.004})
            except Exception as error:
                claim.fail(repr(error))           # spends one of the attempts
            except BaseException:
                claim.release()                   # Ctrl-C, out of memory: spends none
                raise

Execution is at-least-once, completion exactly-once: an agent that lost its lease while it was frozen has its result
dropped, because the point belongs to somebody else by then.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from ddsweep.errors import UserError

if TYPE_CHECKING:
    from ddsweep.backends.optuna import OptunaStore

logger = logging.getLogger(__name__)

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

    Raises:
        UserError: two points have one id, or ``max_attempts`` is below 1.
    """

    name: str
    points: list[Point]
    definition: dict[str, Any] = field(default_factory=dict)
    max_attempts: int = 3
    title: str = ""

    def __post_init__(self) -> None:
        twice = [one for one, count in Counter(point.id for point in self.points).items() if count > 1]
        if twice:
            raise UserError(f"points: {self.name} has the id {twice[0]!r} more than once")
        if self.max_attempts < 1:
            raise UserError(f"max_attempts: must be at least 1, is {self.max_attempts}")

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
    """Where a point stands. ``FAILED`` means given up: every attempt is spent."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True)
class Row:
    """One point of a sweep and how it fares.

    Attributes:
        point: the cell.
        state: where it stands.
        attempts: attempts begun, the running one included; those that were released are not counted.
        reason: why the last attempt failed; empty when none did.
        value: the result of a complete point.
        attributes: what ``complete`` was told beside the value.
        agent: who runs it, or who ran it last.
        started: when its last attempt began.
        finished: when its last attempt ended.
        number: the number of its last attempt in the storage (Optuna's trial number).
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


@dataclass(frozen=True)
class Status:
    """A sweep at one moment: a row per point, in the order of the definition."""

    name: str
    rows: list[Row]

    def count(self, state: State) -> int:
        """How many points are in ``state``."""
        return sum(row.state is state for row in self.rows)

    @property
    def counts(self) -> dict[State, int]:
        """How many points are in each state; the states in order, zeros included."""
        return {state: self.count(state) for state in State}

    @property
    def ended(self) -> int:
        """How many points are complete or given up."""
        return self.count(State.COMPLETE) + self.count(State.FAILED)

    @property
    def drained(self) -> bool:
        """Whether every point is complete or given up."""
        return self.ended == len(self.rows)


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


class Claim(Protocol):
    """A point that belongs to one agent for now. Use it as a context manager: inside the block its heart beats.

    A block left without an answer fails the point if an ordinary exception left it, and releases it otherwise.
    """

    @property
    def point(self) -> Point:
        """The cell to run."""

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""

    @property
    def lost(self) -> bool:
        """Whether a heartbeat found that the lease has passed to somebody else; the result will be dropped."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def complete(self, value: float, attributes: Mapping[str, Any] | None = None) -> bool:
        """Tell the result: accuracy as a fraction, and JSON attributes. False if the lease was lost: it is dropped.

        Raises:
            ValueError: ``value`` is not finite.
        """

    def fail(self, reason: str) -> bool:
        """Spend this attempt and keep the reason. False if the lease was lost."""

    def release(self) -> bool:
        """Give the point back without spending an attempt. False if the lease was lost."""

    def attach(self, path: Path, name: str) -> None:
        """Keep a copy of a file with the attempt, under ``name``; see ``attach_image``."""


class Backend(Protocol):
    """The queue of one sweep. Every method may be called by any number of agents, processes and machines at once.

    All methods but ``register`` raise UserError, naming the sweeps there are, when this one is not registered.
    """

    @property
    def name(self) -> str:
        """The sweep."""

    def register(self, definition: Definition) -> Registered:
        """Make the grid what ``definition`` says.

        New points are queued; points that are no longer in the grid are withdrawn if they wait, and are left alone if
        they run or have finished. Registering twice is registering once. A larger ``max_attempts`` gives failed
        points further attempts.
        """

    def claim(self, agent: str) -> Claim | None:
        """Take the next waiting point (compare-and-set), or None."""

    def reconcile(self) -> None:
        """Fail leases whose holder is not heard of, queue failed points that have attempts left. Idempotent."""

    def status(self) -> Status:
        """Every point and how it fares."""

    def drained(self) -> bool:
        """Whether every point is complete or given up."""


class Store(Protocol):
    """A storage with any number of sweeps."""

    def names(self) -> list[str]:
        """The registered sweeps."""

    def load_definition(self, name: str) -> Definition:
        """A registered sweep. Raises UserError, naming the sweeps there are, when it is not registered."""

    def sweep(self, name: str) -> Backend:
        """The queue of one sweep, registered or about to be."""

    def close(self) -> None:
        """Let go of connections."""


def connect(storage: str | Path, lease: Lease | None = None, artifacts: Path | None = None) -> OptunaStore:
    """Open a storage, creating its schema if need be.

    Args:
        storage: path of an SQLite file, or a ``sqlite:///`` or ``postgresql://`` URL.
        lease: heartbeat and grace; default 30 s and 180 s.
        artifacts: folder of the images that the dashboard shows; default: ``artifacts`` beside an SQLite file.

    Raises:
        UserError: the storage cannot be reached, written or understood.
    """
    from ddsweep.backends.optuna import OptunaStore  # Optuna costs 0.2 s, which `ddsweep --help` need not pay

    return OptunaStore.open(str(storage), lease or Lease(), artifacts)


def attach_image(claim: Claim, png_path: Path, name: str) -> None:
    """Show a PNG on the point's page of the dashboard. Whatever goes wrong is logged: no picture costs a result.

    Args:
        claim: the open claim.
        png_path: the picture; it is copied.
        name: its file name there. The dashboard sorts by it, so pad steps with zeros: ``synthetic_00500.png``.
    """
    try:
        claim.attach(png_path, name)
    except Exception as error:
        logger.warning("%s: the image %s is not in the dashboard (%s)", claim.point.id, name, error)
