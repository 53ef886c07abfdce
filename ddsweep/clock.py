"""The time that the phases of a trial have taken, over all its attempts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ddsweep import checked_files
from ddsweep.errors import UserError


class Clock:
    """Seconds by phase, including those before an interruption, as far as they were saved."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seconds: dict[str, float] = _seconds(path)
        self._phase, self._began = "", 0.0
        self._now: Callable[[], float] = time.monotonic

    @contextmanager
    def __call__(self, phase: str, now: Callable[[], float] = time.monotonic) -> Iterator[None]:
        """Count the time of the block, by the clock ``now``, as time of ``phase``."""
        self._phase, self._now, self._began = phase, now, now()
        yield
        self._count()

    def write(self) -> None:
        """Save the seconds so far, together with a checkpoint."""
        self._count()
        checked_files.write_json(self._path, self.seconds)

    def _count(self) -> None:
        now = self._now()
        self.seconds[self._phase] = round(self.seconds.get(self._phase, 0.0) + now - self._began, 3)
        self._began = now


def _seconds(path: Path) -> dict[str, float]:
    try:
        return {str(phase): float(seconds) for phase, seconds in checked_files.read_json(path).items()}
    except (
        UserError,
        AttributeError,
        TypeError,
        ValueError,
    ):  # no file yet, or a damaged one
        return {}
