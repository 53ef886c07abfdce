"""How an agent is asked to stop: by a signal as soon as possible, or by ``ddsweep stop`` after the current cell."""

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

# time a trial has to save its state; launchers kill after 20 to 30 seconds, and releasing the cell takes a few
SAVE_SECONDS = 12.0
# a scheduler's signal, Ctrl-C, and the one that Slurm sends before it takes the node back
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
logger = logging.getLogger(__name__)


class Stopped(BaseException):
    """The agent was asked to stop now: the current cell is released, and no attempt is spent."""


def name() -> str:
    """HOST:PID, which identifies an agent."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Shutdown:
    """A request to stop. A running trial saves its state at its next boundary, or is cut off after ``SAVE_SECONDS``.

    Between two trials the request takes effect before the next claim. So no cell is lost between being claimed and
    being held, and no outcome is interrupted while it is recorded.

    Attributes:
        now: stop now (a signal, or ``ddsweep stop --now``).
        draining: stop when the current cell is done.
        signal: the first signal that asked for it; 0: none did.
    """

    def __init__(self) -> None:
        self.now = self.draining = False
        self.signal = 0
        self._trial_running = False

    @property
    def requested(self) -> bool:
        """Whether the agent must not claim another cell."""
        return self.now or self.draining

    def request(self, mode: str) -> None:
        """Apply what the storage asks for, in any thread: ``drain``, ``now``, or nothing (empty)."""
        if mode == "drain":
            self.draining = True
        elif mode == "now" and not self.now:
            self.now = True
            os.kill(os.getpid(), signal.SIGTERM)  # interrupts whatever the main thread is waiting for

    @property
    def checkpoints(self) -> Checkpoints:
        """For a trial: when to save, and whether it has to stop."""
        return Checkpoints(leave=lambda: self.now)

    @property
    def exit_status(self) -> int:
        """As in a shell, 128 + the signal that asked to stop, for example 143; 0: none did."""
        return 128 + self.signal if self.signal else 0

    @contextlib.contextmanager
    def handling(self) -> Iterator[None]:
        """Within the block, ``SIGNALS`` ask to stop."""
        before = {number: signal.signal(number, self.handle_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_signal(self, signum: int, frame: object) -> None:
        """Handle a signal. A second one neither shortens nor extends the time to save."""
        if not self.now:  # otherwise it repeats what the storage or another signal asked for
            self.signal = signum
        self.now = True
        if self._trial_running and not _timer_running():
            signal.setitimer(signal.ITIMER_REAL, SAVE_SECONDS)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Run a trial in this block, in the main thread: a request raises ``Stopped`` there.

        That happens when the trial has saved its state, or else after ``SAVE_SECONDS``.
        """
        before = signal.signal(signal.SIGALRM, self._cut_off)
        self._trial_running = True
        try:
            if self.now:
                raise Stopped
            yield
        except Interrupted:
            raise Stopped from None
        finally:
            self._trial_running = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _cut_off(self, signum: int, frame: object) -> None:
        if self._trial_running:
            self._trial_running = False
            raise Stopped


def _timer_running() -> bool:
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


@contextlib.contextmanager
def reporting(backend: Queue, status: AgentStatus, shutdown: Shutdown, interval: float) -> Iterator[None]:
    """Within the block a thread reports ``status`` and receives stop requests every ``interval`` seconds.

    A report that fails is logged, nothing more. After the block the agent is no longer listed.
    """
    done = threading.Event()

    def run() -> None:
        while True:
            try:
                mode = backend.report(status.agent, asdict(status))
                if not done.is_set():
                    shutdown.request(mode)
            except Exception as error:
                logger.warning("the agent's status could not be reported to the storage (%s)", error)
            if done.wait(interval):
                return

    thread = threading.Thread(target=run, name="report status", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(interval)
        with contextlib.suppress(Exception):
            backend.forget(status.agent)
