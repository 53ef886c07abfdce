"""Backends: who runs which point of a sweep, exactly once. The protocols; ``points`` has the values that cross them.

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

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ddsweep.backends.claim import Claim as Claim
from ddsweep.backends.values import Definition as Definition
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

logger = logging.getLogger(__name__)


class Backend(Protocol):
    """One registered sweep: what it consists of and how far it is. Any process on any machine may ask at any time.

    All methods but ``register`` raise UserError, naming the sweeps there are, when this one is not registered.
    """

    @property
    def name(self) -> str:
        """The sweep."""

    def register(self, definition: Definition) -> Registered:
        """Make the grid what ``definition`` says.

        New points are queued; points that are no longer in the grid are withdrawn if they wait, and are left alone if
        they run or have finished. Registering twice is registering once. A larger ``max_attempts`` gives failed
        points further attempts. A search keeps the points that it has drawn as long as they lie in it.
        """

    def status(self) -> Status:
        """Every point and how it fares."""

    def drained(self) -> bool:
        """Whether every point is complete, pruned or given up, and a search has drawn all of its own."""


class Queue(Backend, Protocol):
    """A backend whose points our own agents take. (W&B gives them to its own agents, and is a ``Backend`` only.)"""

    def claim(self, agent: str) -> Claim | None:
        """Take the next waiting point (compare-and-set), or None. Where none waits, a search draws one."""

    def reconcile(self) -> None:
        """Fail leases whose holder is not heard of, queue failed points that have attempts left. Idempotent."""

    def report(self, agent: str, status: Mapping[str, Any]) -> str:
        """Note what an agent does at the moment (JSON), whether it holds a point or not; what ``stop_asked`` says."""

    def forget(self, agent: str) -> None:
        """An agent leaves: list it no longer."""

    def agents(self) -> list[Seen]:
        """Every agent that reported and did not leave, on whatever host; the reader decides who is too old."""

    def ask_to_stop(self, mode: str) -> None:
        """Ask every agent to finish its point and leave (``drain``), or to give it back (``now``); ``""``: go on."""

    def stop_asked(self) -> str:
        """``drain``, ``now`` or ``""``."""


class Store(Protocol):
    """A storage with any number of sweeps."""

    def names(self) -> list[str]:
        """The registered sweeps."""

    def load_definition(self, name: str) -> Definition:
        """A registered sweep. Raises UserError, naming the sweeps there are, when it is not registered."""

    def sweep(self, name: str) -> Backend:
        """One sweep, registered or about to be."""

    def close(self) -> None:
        """Let go of connections."""


def connect(
    storage: str | Path, lease: Lease | None = None, artifacts: Path | None = None, *, patient: bool = False
) -> OptunaStore:
    """Open a storage, creating its schema if need be.

    Args:
        storage: path of an SQLite file, or a ``sqlite:///`` or ``postgresql://`` URL.
        lease: heartbeat and grace; default: ``$DDSWEEP_LEASE``, or 30 s and 180 s.
        artifacts: folder of the images that the dashboard shows, where they lie as files (``artifacts.Artifacts``);
            default: ``artifacts`` beside an SQLite file.
        patient: wait some minutes for a storage that is away, as an agent does; a person would rather know at once.

    Raises:
        UserError: the storage cannot be reached, written or understood.
    """
    from ddsweep.backends.optuna.backend import OptunaStore  # Optuna costs 0.2 s, which `ddsweep --help` need not pay

    lease = lease or Lease.parse(os.environ.get("DDSWEEP_LEASE", ""))
    return OptunaStore.open(str(storage), lease, artifacts, patient=patient)


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
