"""An agent: takes points from a backend and runs them on one device until the queue is drained.

The only module that sees both a backend and ``trial``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep.backends import Claim, Queue, attach_image, connect
from ddsweep.errors import UserError
from ddsweep.pretrained import spec
from ddsweep.pretrained.spec import Spec
from ddsweep.sweep import Sweep
from ddsweep.trackers.fan_out import FanOut
from ddsweep.trackers.queue import QueueTracker
from ddsweep.trackers.status import AgentStatus, StatusTracker
from ddsweep.trackers.status import folder as status_folder

if TYPE_CHECKING:
    from ddsweep.results.result import Result

logger = logging.getLogger(__name__)
IDLE = 1.0  # seconds between two looks at an empty queue
RECONCILE = 30.0  # seconds between two looks for agents that died
POISONED = 75  # exit status: this process can no longer be trusted, start a fresh one


class Stopped(BaseException):
    """The agent was asked to leave: the cell in hand goes back, unspent."""


class Poisoned(BaseException):
    """A device error after which nothing in this process can be trusted."""


def name() -> str:
    """HOST:PID, which tells agents apart."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Leaving:
    """A request to leave (TERM). While a trial runs it is heard at once; else before the next claim.

    So a cell can never get lost between being claimed and being held, nor an answer be cut short.
    """

    def __init__(self) -> None:
        self.asked = False
        self._at_once = False

    def hear(self, signum: int, frame: object) -> None:
        """The signal handler."""
        self.asked = True
        if self._at_once:
            self._at_once = False
            raise Stopped

    @contextlib.contextmanager
    def heard_at_once(self) -> Iterator[None]:
        """Inside, a request raises ``Stopped``."""
        self._at_once = True
        try:
            if self.asked:
                raise Stopped
            yield
        finally:
            self._at_once = False


@dataclass
class Agent:
    """One agent.

    Attributes:
        backend: whose points it runs.
        sweep: what they mean.
        runs: the folder of all runs.
        on: its device.
        status: what others see of it.
        leaving: whether it was asked to leave.
    """

    backend: Queue
    sweep: Sweep
    runs: Path
    on: str
    status: StatusTracker
    leaving: Leaving = field(default_factory=Leaving)

    def work(self) -> None:
        """Run points until every one is complete or given up, or until asked to leave.

        An exception in a cell spends one of its attempts, and the agent goes on.

        Raises:
            Poisoned: the device failed; the attempt is spent.
        """
        wanted = spec.needs(cell.recipe for cell in self.sweep.cells)
        looked = 0.0
        while not self.leaving.asked:
            claim = self.backend.claim(name())
            if claim is not None:
                self._run(claim, wanted)
                annotate(self.backend, claim.point.id)
                continue
            self.status.idle()
            if time.monotonic() - looked > RECONCILE:
                self.backend.reconcile()
                looked = time.monotonic()
            if self.backend.drained():
                return
            time.sleep(IDLE)

    def _run(self, claim: Claim, wanted: dict[Spec, set[int]]) -> None:
        """One point, from the claim to its answer."""
        from ddsweep import trial

        with claim:
            try:
                recipe = self.sweep.recipe(claim.point.params)
                if recipe.key() != claim.point.key:
                    raise UserError("the sweep was registered by another version of ddsweep; launch it again")
                tracker = FanOut(self.status, QueueTracker(partial(attach_image, claim)))
                with self.leaving.heard_at_once():
                    result = trial.run(recipe, tracker, self.on, self.runs, wanted)
            except Stopped:
                claim.release()
            except Exception as error:
                logger.exception("%s failed", claim.point.title)
                claim.fail(f"{type(error).__name__}: {error}" if not isinstance(error, UserError) else str(error))
                if is_device_error(error):
                    raise Poisoned(str(error)) from error
            else:
                answer(claim, result)


def answer(claim: Claim, result: Result) -> None:
    """Tell the queue. A diverged trial fails for good: its attempts return the same finding at once."""
    if result.accuracy is None:
        claim.fail(result.reason or "no accuracy")
    else:
        claim.complete(result.accuracy, {**result.summary(), "device": result.device})


def annotate(backend: Queue, point: str) -> None:
    """Bring the dashboard's notes and plots up to date, where the backend has a dashboard."""
    from ddsweep.backends.optuna import OptunaBackend

    if isinstance(backend, OptunaBackend):
        from ddsweep.backends import notes

        notes.annotate(backend, point)


def is_device_error(error: Exception) -> bool:
    """CUDA errors and exhausted device memory: their process may not be used again."""
    import torch

    return isinstance(error, torch.cuda.OutOfMemoryError) or "CUDA error" in str(error)


def main(sweep_name: str, storage: str, runs: Path, on: str, threads: int) -> int:
    """The body of ``ddsweep agent``; the exit status."""
    store = connect(storage, artifacts=runs / "artifacts")
    sweep = Sweep.from_definition(store.load_definition(sweep_name).definition)
    status = StatusTracker(status_folder(runs, sweep_name), AgentStatus(name(), on, sweep_name))
    status.idle()
    if threads:
        import torch

        torch.set_num_threads(threads)
    one = Agent(store.sweep(sweep_name), sweep, runs, on, status)
    before = signal.signal(signal.SIGTERM, one.leaving.hear)
    try:
        one.work()
    except Poisoned:
        return POISONED
    finally:
        signal.signal(signal.SIGTERM, before)
        status.close()
        store.close()
    return 0


def die_with(parent: int) -> None:
    """Leave when the process ``parent`` is gone, however it went: nothing is left on a GPU.

    Asks politely first; an agent stuck in a kernel is ended after a while.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20.0)
        os._exit(1)

    threading.Thread(target=watch, name="watch the launcher", daemon=True).start()
