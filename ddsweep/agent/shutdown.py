"""How an agent is asked to leave: by a signal as soon as it can, or by ``ddsweep stop`` after the cell in hand."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from ddsweep.checkpoints import Checkpoints, Interrupted

if TYPE_CHECKING:
    from ddsweep.backends import Queue
    from ddsweep.trackers.status import AgentStatus

# seconds that a trial has to save; launchers kill after 20 to 30, and giving the cell back takes a few
PATIENCE = 12.0
logger = logging.getLogger(__name__)


class Stopped(BaseException):
    """The agent was asked to leave: the cell in hand goes back, unspent."""


def name() -> str:
    """HOST:PID, which tells agents apart."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Leaving:
    """A request to leave (TERM). A trial that runs saves its state at its next boundary, or is cut off after a while.

    Between two trials it is heard before the next claim: a cell can never get lost between being claimed and being
    held, nor an answer be cut short.

    Attributes:
        asked: leave now.
        draining: leave when the cell in hand is done.
    """

    def __init__(self) -> None:
        self.asked = self.draining = False
        self._inside = False

    @property
    def soon(self) -> bool:
        """Whether no further cell may be taken."""
        return self.asked or self.draining

    def heed(self, mode: str) -> None:
        """A request from the storage, in any thread: ``drain``, ``now``, or none."""
        if mode == "drain":
            self.draining = True
        elif mode == "now" and not self.asked:
            self.asked = True
            os.kill(os.getpid(), signal.SIGTERM)  # whatever the main thread is waiting for, it hears this

    @property
    def checkpoints(self) -> Checkpoints:
        """For a trial: when to save, and that it has to leave."""
        return Checkpoints(leave=lambda: self.asked)

    def hear(self, signum: int, frame: object) -> None:
        """The signal handler."""
        self.asked = True
        if self._inside and not _ticking():  # whoever asks twice does not shorten the time, nor lengthen it
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Inside, a request raises ``Stopped``: when the trial has saved, or else after ``PATIENCE`` seconds.

        In the main thread only.
        """
        before = signal.signal(signal.SIGALRM, self._cut_off)
        self._inside = True
        try:
            if self.asked:
                raise Stopped
            yield
        except Interrupted:
            raise Stopped from None
        finally:
            self._inside = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _cut_off(self, signum: int, frame: object) -> None:
        if self._inside:
            self._inside = False
            raise Stopped


def _ticking() -> bool:
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


@contextlib.contextmanager
def pulse(backend: Queue, status: AgentStatus, leaving: Leaving, every: float) -> Iterator[None]:
    """Inside the block a thread reports ``status`` and hears requests to stop, every ``every`` seconds.

    A report that does not arrive is logged and costs nothing. After the block the agent is no longer listed.
    """
    done = threading.Event()

    def beat() -> None:
        while True:
            try:
                mode = backend.report(status.agent, asdict(status))
                if not done.is_set():
                    leaving.heed(mode)
            except Exception as error:
                logger.warning("the storage does not hear what this agent does (%s)", error)
            if done.wait(every):
                return

    thread = threading.Thread(target=beat, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(every)
        with contextlib.suppress(Exception):
            backend.forget(status.agent)
