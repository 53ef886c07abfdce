"""A claim: one point held by one agent, kept alive by heartbeats from a thread until its outcome is recorded.

The life of a claim::

    claim = queue.claim(agent)     # waiting → running; the lease starts with the first heartbeat
    with claim:                    # a heartbeat every ``Lease.beat`` seconds
        claim.report(100, 0.41)    # an intermediate accuracy: should the trial continue?
        claim.complete(0.613)      # or fail, prune, release; ends the heartbeats

A storage subclasses ``Claim`` (``optuna.claims.OptunaClaim``, ``memory.MemoryClaim``). Each of its operations is one
transaction that checks the lease first, and returns False without writing anything if the lease has been lost.
"""

from __future__ import annotations

import logging
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ddsweep.backends.values import Point

logger = logging.getLogger(__name__)


class Claim(ABC):
    """A point held by one agent. Use it as a context manager: heartbeats are sent inside the block.

    If the block ends before an outcome was recorded, the point fails if an ordinary exception was raised, and is
    released otherwise.

    Attributes:
        point: the cell to run.
        attempt: the number of this attempt, counting from 1.
        note: what the previous holder of this attempt left when it released the point.
        lost: whether a heartbeat found that the lease now belongs to another agent; the result will be dropped.
        progressed: whether a checkpoint was saved since the claim (``progress``).
    """

    def __init__(self, point: Point, attempt: int, note: Mapping[str, Any] | None, interval: float) -> None:
        self.point, self.attempt, self.note = point, attempt, dict(note or {})
        self.lost = self.progressed = False
        self._interval, self._recorded = interval, False
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._send_heartbeats, name=f"heartbeat of {point.id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_heartbeats()
        if self._recorded:
            return
        if isinstance(error, Exception):
            self.fail(f"{type(error).__name__}: {error}")
        else:
            self.release()

    def complete(self, value: float, attributes: Mapping[str, Any] | None = None) -> bool:
        """Record the result: the accuracy as a fraction, and JSON attributes. False if the lease was lost.

        Raises:
            ValueError: ``value`` is not finite.
        """
        if not math.isfinite(value):
            raise ValueError(f"value: must be finite, is {value}")
        return self._record("result", lambda: self._complete(float(value), attributes or {}))

    def fail(self, reason: str, *, final: bool = False) -> bool:
        """Spend this attempt and record the reason. False if the lease was lost.

        ``final``: another attempt would fail the same way, so the point is given up.
        """
        return self._record("failure", lambda: self._fail(reason, final))

    def prune(self, step: int, accuracy: float) -> bool:
        """End the point because others are better; it is not retried. False if the lease was lost."""
        return self._record("pruning", lambda: self._prune(step, float(accuracy)))

    def release(self, note: Mapping[str, Any] | None = None) -> bool:
        """Return the point to the queue without spending an attempt. False if the lease was lost.

        ``note`` (JSON) is passed to the next holder (``Claim.note``).
        """
        return self._record("release", lambda: self._release(note or {}))

    def progress(self) -> None:
        """Record that a checkpoint was saved, with a heartbeat that is sent at once and not waited for.

        A point that makes progress is never given up because its agents are killed (``rules.given_up``).
        """
        self.progressed = True
        self._wake.set()

    @abstractmethod
    def heartbeat(self) -> bool:
        """Renew the lease, and record whether there was progress (``progressed``). False if it was lost."""

    @abstractmethod
    def report(self, step: int, accuracy: float) -> bool:
        """Record an intermediate accuracy at a distillation step; return whether the trial should continue.

        Reporting a step again, as a trial resumed from an earlier checkpoint does, replaces the value. True if the
        lease was lost: the decision is then the new holder's.
        """

    @abstractmethod
    def attach(self, path: Path, name: str) -> None:
        """Store a copy of a file with the attempt, under ``name``; see ``attach_image``."""

    @abstractmethod
    def keep(self, contents: Mapping[str, bytes]) -> bool:
        """Store the files of the point's result, by name, for hosts that do not share the runs folder; all or none.

        Call it before ``complete``, so that a complete point can be read everywhere (``results.transfer``). The files
        belong to the point's key and replace those stored under it before. False if the lease was lost.
        """

    @abstractmethod
    def _complete(self, value: float, attributes: Mapping[str, Any]) -> bool: ...

    @abstractmethod
    def _fail(self, reason: str, final: bool) -> bool: ...

    @abstractmethod
    def _prune(self, step: int, accuracy: float) -> bool: ...

    @abstractmethod
    def _release(self, note: Mapping[str, Any]) -> bool: ...

    def _record(self, outcome: str, write: Callable[[], bool]) -> bool:
        self._stop_heartbeats()  # first: a heartbeat after the outcome would report the lease as lost
        written = write()
        self._recorded = True
        if not written:
            logger.warning("%s: the lease was lost, the %s is dropped", self.point.id, outcome)
        return written

    def _send_heartbeats(self) -> None:
        while True:
            self._wake.wait(self._interval)
            self._wake.clear()
            if self._stop.is_set():
                return
            try:
                if not self.heartbeat():
                    self.lost = True
                    logger.warning("%s: the lease now belongs to another agent", self.point.id)
                    return
            except Exception as error:  # a storage outage; the grace period covers it
                logger.warning("%s: a heartbeat could not be written (%s)", self.point.id, error)

    def _stop_heartbeats(self) -> None:
        """Stop the thread; wait for a heartbeat in progress, but no longer than one interval."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(self._interval)
