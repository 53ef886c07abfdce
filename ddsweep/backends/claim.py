"""A claim and its heart: what holding a point means, whoever keeps the books."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from ddsweep.backends import Point

logger = logging.getLogger(__name__)


class Desk(Protocol):
    """Where one claim is answered. Each method is one transaction and returns False if the lease is not ours."""

    def beat(self) -> bool:
        """Note that the holder lives."""

    def complete(self, value: float, attributes: Mapping[str, Any]) -> bool:
        """Running → complete."""

    def fail(self, reason: str, final: bool) -> bool:
        """Running → failed."""

    def look(self, step: int, accuracy: float) -> bool:
        """Keep an accuracy on the way; False if the trial is to be pruned, and only then."""

    def prune(self, step: int, accuracy: float) -> bool:
        """Running → pruned."""

    def release(self, note: Mapping[str, Any]) -> bool:
        """Running → waiting."""

    def attach(self, path: Path, name: str) -> None:
        """Keep a file."""

    def keep(self, key: str, contents: Mapping[str, bytes]) -> bool:
        """Keep the files of a result."""


class Heart:
    """A thread that beats until it is stopped or told that the lease is gone."""

    def __init__(self, desk: Desk, interval: float, name: str) -> None:
        self._desk, self._interval, self._name = desk, interval, name
        self._stop = threading.Event()
        self.lost = False
        self._thread = threading.Thread(target=self._run, name=f"heart of {name}", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more; a beat on its way is awaited, but no longer than an interval."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(self._interval)

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                if not self._desk.beat():
                    self.lost = True
                    logger.warning("%s: the lease has passed to somebody else", self._name)
                    return
            except Exception as error:  # a storage that is away for a moment: the grace period is for that
                logger.warning("%s: a heartbeat did not arrive (%s)", self._name, error)


class LeasedClaim:
    """The Claim of every backend of ours (protocol ``backends.Claim``)."""

    def __init__(
        self, desk: Desk, point: Point, attempt: int, beat: float, note: Mapping[str, Any] | None = None
    ) -> None:
        self._desk, self._answered = desk, False
        self._heart = Heart(desk, beat, point.id)
        self.point, self.attempt, self.note = point, attempt, dict(note or {})

    @property
    def lost(self) -> bool:
        """Whether a heartbeat found that the lease has passed to somebody else."""
        return self._heart.lost

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heart.stop()
        if self._answered:
            return
        if isinstance(error, Exception):
            self.fail(f"{type(error).__name__}: {error}")
        else:
            self.release()

    def beat(self) -> bool:
        """Beat once, without waiting for the heart; False if the lease was lost."""
        return self._desk.beat()

    def complete(self, value: float, attributes: Mapping[str, Any] | None = None) -> bool:
        """Tell the result; False if the lease was lost."""
        if not math.isfinite(value):
            raise ValueError(f"value: must be finite, is {value}")
        return self._answer("result", lambda: self._desk.complete(float(value), attributes or {}))

    def fail(self, reason: str, *, final: bool = False) -> bool:
        """Spend this attempt, or with ``final`` all of them; False if the lease was lost."""
        return self._answer("failure", lambda: self._desk.fail(reason, final))

    def look(self, step: int, accuracy: float) -> bool:
        """Tell an accuracy on the way; whether the trial is worth going on."""
        return self._desk.look(step, float(accuracy))

    def prune(self, step: int, accuracy: float) -> bool:
        """End the point here; False if the lease was lost."""
        return self._answer("pruning", lambda: self._desk.prune(step, float(accuracy)))

    def release(self, note: Mapping[str, Any] | None = None) -> bool:
        """Give the point back, with a note for whoever takes it next; False if the lease was lost."""
        return self._answer("release", lambda: self._desk.release(note or {}))

    def attach(self, path: Path, name: str) -> None:
        """Keep a copy of a file with the attempt, under ``name``."""
        self._desk.attach(path, name)

    def keep(self, contents: Mapping[str, bytes]) -> bool:
        """Keep the files of the point's result; False if the lease was lost."""
        return self._desk.keep(self.point.key, contents)

    def _answer(self, what: str, tell: Callable[[], bool]) -> bool:
        self._heart.stop()  # first: a beat after the answer would find the lease gone and say so
        kept = tell()
        self._answered = True
        if not kept:
            logger.warning("%s: the lease was lost, the %s is dropped", self.point.id, what)
        return kept
