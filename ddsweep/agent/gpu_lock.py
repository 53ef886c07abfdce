"""Turns on one GPU: trials share it, and one that ran out of memory is retried while no other is there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

LOOK = 0.5  # seconds between two tries

GoOn = Callable[[], bool]


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"ddsweep-{os.getuid()}"


@dataclass(frozen=True)
class Turns:
    """Two file locks per GPU, among the agents of one user on one host; the system frees those of a dead agent.

    The room is held by every trial on the GPU; the gate is passed by whoever wants in, and kept by a trial that waits
    for the room to be empty: those that come after it wait too, or it would wait for ever.

    Attributes:
        gpu: what tells the GPU from others of this host (``device.identity``).
        folder: where the locks lie; on this host's own disk, for flock does not cross hosts everywhere.
    """

    gpu: str
    folder: Path = field(default_factory=_folder)

    @contextlib.contextmanager
    def shared(self, go_on: GoOn) -> Iterator[bool]:
        """Be on the GPU beside others. False, and not there, if ``go_on`` said no while it was another's alone."""
        with self._file("gate") as gate, self._file("room") as room:
            inside = _take(gate, fcntl.LOCK_SH, go_on) and _take(room, fcntl.LOCK_SH, go_on)
            fcntl.flock(gate, fcntl.LOCK_UN)
            yield inside

    @contextlib.contextmanager
    def alone(self, go_on: GoOn) -> Iterator[bool]:
        """Be on the GPU alone, when the others' trials have ended. False if ``go_on`` said no before."""
        with self._file("gate") as gate, self._file("room") as room:
            yield _take(gate, fcntl.LOCK_EX, go_on) and _take(room, fcntl.LOCK_EX, go_on)

    def _file(self, part: str) -> IO[str]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (self.folder / f"{self.gpu}.{part}").open("a")


def _take(file: IO[str], kind: int, go_on: GoOn) -> bool:
    while go_on():
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK)
        else:
            return True
    return False
