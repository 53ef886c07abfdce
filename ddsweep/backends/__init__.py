"""Backends: which agent runs which point of a sweep, exactly once. Protocols here, their plain values in ``values``.

A sweep is a queue of points with leases (``rules`` has the rules, ``optuna`` and ``memory`` store the attempts)::

    store = connect("runs/ddsweep.db", artifacts=Path("runs/artifacts"))
    backend = store.sweep("ablation-alpha@demo")
    backend.register(definition)                  # idempotent; adds to what was launched before

    while True:                                   # an agent, in any process, on any machine
        claim = backend.claim(agent="gpu0")
        if claim is None:
            backend.reconcile()                   # idle agents requeue the points of dead ones
            if backend.drained():
                break
            time.sleep(2)
            continue
        with claim:                               # heartbeats are sent inside this block
            try:
                claim.complete(0.613, {"accuracy_std": 0.004})
            except Exception as error:
                claim.fail(repr(error))           # spends one attempt
            except BaseException:
                claim.release()                   # Ctrl-C, out of memory: spends no attempt
                raise

Execution is at-least-once, completion exactly-once: if an agent loses its lease while it is frozen, its result is
dropped, because the point then belongs to another agent.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ddsweep.backends.claim import Claim as Claim
from ddsweep.backends.values import Definition as Definition
from ddsweep.backends.values import Held as Held
from ddsweep.backends.values import Lease as Lease
from ddsweep.backends.values import Point as Point
from ddsweep.backends.values import Registered as Registered
from ddsweep.backends.values import Row as Row
from ddsweep.backends.values import Scalar as Scalar
from ddsweep.backends.values import Seen as Seen
from ddsweep.backends.values import State as State
from ddsweep.backends.values import Status as Status

if TYPE_CHECKING:
    from ddsweep.backends.optuna.backend import OptunaStore
    from ddsweep.backends.optuna.reading import ReadingStore

logger = logging.getLogger(__name__)


class Backend(Protocol):
    """One registered sweep: its points and their states. Any process on any machine may use it at any time.

    All methods except ``register`` raise UserError, naming the registered sweeps, if this one is not registered.
    """

    @property
    def name(self) -> str:
        """The name of the sweep."""

    def register(self, definition: Definition, *, alone: bool = False) -> Registered:
        """Launch a sweep, for the first time or again (``relaunch``).

        New points are queued. Points of earlier launches stay if they have ended or run, and while agents are alive
        also if they wait; otherwise they are withdrawn. With ``alone``, the sweep is exactly what ``definition`` says;
        running points that it lacks end normally. Safe to repeat. A larger ``max_attempts`` gives failed points further
        attempts. A search keeps the points it has drawn that are still in its space.
        """

    def status(self) -> Status:
        """Every point and its state."""

    def drained(self) -> bool:
        """Whether every point is complete, pruned or given up, and a search has drawn all its points."""


class Queue(Backend, Protocol):
    """A backend whose points ddsweep's own agents claim. (W&B has agents of its own: it is only a ``Backend``.)"""

    def requeue(self, keys: Collection[str], reason: str) -> int:
        """Queue those points with these keys again that are complete or have failed; return how many there were.

        They get all their attempts. Earlier ones stay in the history, withdrawn for ``reason``, and do not count.
        """

    def claim(self, agent: str) -> Claim | None:
        """Claim the next waiting point atomically, or None. If none is waiting, a search draws its next point."""

    def claim_among(self, agent: str, keys: Collection[str]) -> Claim | None:
        """Claim the next waiting point with one of these keys atomically, or None. A search draws no point for it."""

    def waiting(self) -> int:
        """The number of points that wait for an agent."""

    def reconcile(self) -> None:
        """Fail attempts whose agent is dead, and queue failed points that have attempts left. Idempotent.

        An agent is dead if its lease has expired, or if it ran on this host and its process is gone.
        """

    def retry(self) -> int:
        """Queue every point that was given up, as if it had never failed; return their number.

        Points whose failure is final are left out: they would fail the same way.
        """

    def held(self) -> list[Held]:
        """The points that agents hold, with the time since each agent's last heartbeat."""

    def report(self, agent: str, status: Mapping[str, Any]) -> str:
        """Record what an agent is doing (JSON), whether or not it holds a point; return what ``stop_asked`` returns."""

    def forget(self, agent: str) -> None:
        """Remove an agent that ends from the list."""

    def agents(self) -> list[Seen]:
        """Every agent, on any host, that has reported and not been forgotten; the caller decides which are too old."""

    def ask_to_stop(self, mode: str) -> None:
        """Ask every agent to stop after its point (``drain``) or now (``now``); ``""`` withdraws the request."""

    def stop_asked(self) -> str:
        """``drain``, ``now`` or ``""``."""


class Store(Protocol):
    """A storage with any number of sweeps."""

    def names(self) -> list[str]:
        """The registered sweeps."""

    def load_definition(self, name: str) -> Definition:
        """A registered sweep. Raises UserError, naming the registered sweeps, if it is not one of them."""

    def sweep(self, name: str) -> Backend:
        """One sweep, whether or not it is registered yet."""

    def close(self) -> None:
        """Close the connections."""


def connect(
    storage: str | Path, lease: Lease | None = None, artifacts: Path | None = None, *, patient: bool = False
) -> OptunaStore:
    """Open a storage, creating its schema if necessary.

    Args:
        storage: path of an SQLite file, or a ``sqlite:///`` or ``postgresql://`` URL.
        lease: heartbeat and grace; default: ``$DDSWEEP_LEASE``, or 30 s and 180 s.
        artifacts: folder for the dashboard's images if they are stored as files (``artifacts.Artifacts``); default:
            ``artifacts`` next to an SQLite file.
        patient: retry for some minutes if the storage is unavailable, as an agent does; commands fail at once.

    Raises:
        UserError: the storage cannot be reached, written or read.
    """
    from ddsweep.backends.optuna.backend import (
        OptunaStore,
    )  # takes 0.2 s, which `ddsweep --help` avoids

    lease = lease or Lease.parse(os.environ.get("DDSWEEP_LEASE", ""))
    return OptunaStore.open(str(storage), lease, artifacts, patient=patient)


def connect_to_read(storage: str | Path, artifacts: Path | None = None) -> OptunaStore | ReadingStore:
    """Open a storage, of which an SQLite file exists, mostly for reading: like ``connect``, and soon for a file.

    Raises:
        UserError: as ``connect``; for a file, when it is used.
    """
    from ddsweep.backends.optuna.reading import ReadingStore, sqlite_path

    path = sqlite_path(str(storage))
    if path is None:
        return connect(storage, artifacts=artifacts)
    lease = Lease.parse(os.environ.get("DDSWEEP_LEASE", ""))
    return ReadingStore(path, lease, lambda: connect(storage, lease, artifacts))


def sqlite_file(storage: str) -> Path | None:
    """The file of an SQLite storage; None for one on a server.

    Raises:
        UserError: it is neither a path nor the URL of a storage.
    """
    from ddsweep.backends.optuna.reading import sqlite_path

    if path := sqlite_path(storage):
        return path
    from ddsweep.backends.optuna import database

    url = database.parse(storage)
    named = url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:"
    return Path(str(url.database)) if named else None


def attach_image(claim: Claim, png_path: Path, name: str) -> None:
    """Show a PNG on the point's page of the dashboard. Errors are logged only: an image must not cost a result.

    Args:
        claim: the open claim.
        png_path: the image; it is copied.
        name: its file name in the dashboard, which sorts by it, so pad steps with zeros: ``synthetic_00500.png``.
    """
    try:
        claim.attach(png_path, name)
    except Exception as error:
        logger.warning("%s: the image %s is not in the dashboard (%s)", claim.point.id, name, error)
