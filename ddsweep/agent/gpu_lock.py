"""Locks on one GPU: trials share it, and a trial that ran out of memory is retried while no other one uses it."""

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

POLL_SECONDS = 0.5

KeepWaiting = Callable[[], bool]


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"ddsweep-{os.getuid()}"


@dataclass(frozen=True)
class GpuLock:
    """Two file locks per GPU, among the agents of one user on one host; the system releases those of a dead agent.

    ``use`` is held, shared or exclusively, by every trial on the GPU. ``gate`` is passed before that, and kept by a
    trial that waits for exclusive use: trials that arrive later wait at the gate, or it would wait forever.

    Attributes:
        gpu: distinguishes the GPU from others of this host (``device.identity``).
        folder: where the lock files are; on this host's own disk, because flock does not work across hosts everywhere.
    """

    gpu: str
    folder: Path = field(default_factory=_folder)

    @contextlib.contextmanager
    def shared(self, keep_waiting: KeepWaiting) -> Iterator[bool]:
        """Use the GPU beside other trials. Yields False, without the lock, if ``keep_waiting`` returned False first."""
        with self._file("gate") as gate, self._file("use") as use:
            acquired = _acquire(gate, fcntl.LOCK_SH, keep_waiting) and _acquire(use, fcntl.LOCK_SH, keep_waiting)
            fcntl.flock(gate, fcntl.LOCK_UN)
            yield acquired

    @contextlib.contextmanager
    def exclusive(self, keep_waiting: KeepWaiting) -> Iterator[bool]:
        """Use the GPU alone, once other trials have ended. Yields False if ``keep_waiting`` returned False first."""
        with self._file("gate") as gate, self._file("use") as use:
            yield _acquire(gate, fcntl.LOCK_EX, keep_waiting) and _acquire(use, fcntl.LOCK_EX, keep_waiting)

    def _file(self, part: str) -> IO[str]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (self.folder / f"{self.gpu}.{part}").open("a")


def _acquire(file: IO[str], kind: int, keep_waiting: KeepWaiting) -> bool:
    while keep_waiting():
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(POLL_SECONDS)
        else:
            return True
    return False
