"""A set of records that a cell has open: its locks, its file, and what it may still write."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddsweep.errors import UserError
from ddsweep.shared import sets
from ddsweep.shared.budget import Budget
from ddsweep.shared.locks import IN_USE, Locks
from ddsweep.shared.record_file import RecordFile

logger = logging.getLogger(__name__)

LOCK_SECONDS = 1.0  # how long to wait for a process that is removing the set
REST = 10.0  # seconds without writing after another process, perhaps a stopped one, kept the file locked


class OpenSet:
    """Reads and writes the tensors of one set of records. What fails is logged once, and then no longer tried.

    Args:
        path: its folder.
        facts: what all its records depend on.
        budget: what all sets together may take.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any], budget: Budget) -> None:
        self._path, self._facts, self._budget = path, dict(facts), budget
        self._locks: Locks | None = None
        self._file: RecordFile | None = None
        self._shape: list[int] = []
        self._dtype = torch.float32
        self._granted, self._rest_until = 0, 0.0
        self.readable = True
        with self._guarded("lock", readable=True):
            self._locks = _lock(path)
        with self._guarded("read"):
            self._open()

    @property
    def writable(self) -> bool:
        """Whether records can be claimed and written."""
        return self._locks is not None

    def _open(self) -> None:
        """Open the file of records if another cell has begun one."""
        about = sets.RecordSet(self._path, 0, 0.0).facts()
        shape, name = about.get("shape"), str(about.get("dtype"))
        if isinstance(shape, list) and isinstance(getattr(torch, name, None), torch.dtype):
            self._shape, self._dtype = shape, getattr(torch, name)
            length = self._dtype.itemsize
            for side in shape:
                length *= int(side)
            self._file = RecordFile(self._path / sets.RECORDS, length)
            with contextlib.suppress(OSError):
                os.utime(self._path / sets.ABOUT)

    def has(self, key: bytes) -> bool:
        """Whether there is a record of a key, intact or not."""
        with self._guarded("read"):
            if self._file is None:
                self._open()
            return self._file is not None and self._file.has(key)
        return False

    def find(self, key: bytes) -> tuple[Tensor, float] | None:
        """Return the tensor of a key, on the CPU, and the seconds that it took to compute; None if there is none."""
        with self._guarded("read"):
            if self._file is None:
                self._open()
            if self._file is None or not self._file.has(key):
                return None
            value = torch.empty(self._shape, dtype=self._dtype)  # memory that is aligned like that of a computed tensor
            seconds = self._file.find(key, _bytes(value))
            return None if seconds is None else (value, seconds)
        return None

    @contextlib.contextmanager
    def claimed(self, key: bytes) -> Iterator[bool]:
        """Yield whether this process is the one to compute the record of a key; it is if nothing can be locked."""
        if self._locks is None:
            yield True
            return
        with contextlib.ExitStack() as stack:
            mine = True
            with self._guarded("lock", readable=True):
                mine = stack.enter_context(self._locks.claimed(key))
            yield mine

    def put(self, key: bytes, value: Tensor, seconds: float) -> None:
        """Write the tensor of a key, if that is possible and the budget allows it."""
        if self._locks is None or time.monotonic() < self._rest_until:
            return
        there = value.detach().cpu().contiguous()
        with self._guarded("write", readable=True):
            if self._file is None:
                self._begin(there)
            assert self._file is not None
            if list(there.shape) != self._shape or there.dtype != self._dtype or not self._may_write():
                return
            if not self._file.append(key, _bytes(there), seconds, self._locks):
                self._rest_until = time.monotonic() + REST
            self._granted -= self._file.record_bytes

    def _begin(self, first: Tensor) -> None:
        """Begin the file of records; another process may do the same now, with the same content."""
        about = {**self._facts, "shape": list(first.shape), "dtype": str(first.dtype).removeprefix("torch.")}
        sets.describe(self._path, about)
        self._open()

    def _may_write(self) -> bool:
        """Whether the budget allows another record; if not, this cell writes no more."""
        assert self._file is not None
        needed = self._file.record_bytes
        if not self._file.writable:
            self._stop_writing(f"{self._path} is read-only")
            return False
        if self._granted < needed:
            self._granted = self._budget.grant(self._path.parent, needed)
        if self._granted < needed:
            self._stop_writing("the limit of $DDSWEEP_SHARE is reached")
            return False
        return True

    @contextlib.contextmanager
    def _guarded(self, what: str, *, readable: bool = False) -> Iterator[None]:
        """Log an error of the file system instead of raising it; ``readable``: records can still be read after it."""
        try:
            yield
        except (OSError, UserError) as error:
            reason = str(error) if isinstance(error, UserError) else error.strerror or str(error)
            self._stop_writing(f"cannot {what} {self._path} ({reason})")
            self.readable = self.readable and readable

    def _stop_writing(self, reason: str) -> None:
        if self._locks is not None or self._file is None:
            logger.warning("sharing: %s; what this cell computes is not kept for others", reason)
        if self._locks is not None:
            self._locks.close()
            self._locks = None

    def close(self) -> None:
        """Release locks and files; safe to call twice."""
        if self._locks is not None:
            self._locks.close()
        if self._file is not None:
            self._file.close()
        self._locks, self._file, self.readable = None, None, False


def _bytes(value: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor."""
    return value.flatten().view(torch.uint8).numpy().data


def _lock(path: Path) -> Locks:
    """Mark a set as in use, so that nobody removes it.

    Raises:
        OSError: it cannot be locked.
    """
    until = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < until:
        path.mkdir(parents=True, exist_ok=True)
        locks = Locks(path / sets.LOCK)
        try:
            if locks.acquire(IN_USE, shared=True) and locks.is_current():
                return locks
        except OSError:
            locks.close()
            raise
        locks.close()  # another process is removing the set
        time.sleep(0.001)
    raise OSError(errno.EAGAIN, "another process is removing it")
