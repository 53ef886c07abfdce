"""Locks on single bytes of a file, which the system releases when their process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

IN_USE, APPEND = 0, 1  # the bytes for what concerns the whole set
_KEYS = 1 << 20  # the first byte of those for keys

# The system releases all locks of a process on a file when the process closes it anywhere: a file that is in use here
# must not be opened a second time just to look at its locks.
_open: Counter[Path] = Counter()


class Locks:
    """The locks of one set of records; a byte need not exist in the file.

    Args:
        path: the lock file; it is created.

    Raises:
        OSError: it cannot be opened for writing, or the file system has no locks.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        _open[path] += 1

    def acquire(self, byte: int, *, shared: bool = False) -> bool:
        """Lock a byte, and return whether that succeeded; this does not wait.

        Raises:
            OSError: the file system has no locks.
        """
        try:
            fcntl.lockf(self._file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):  # POSIX allows both errors
            return False
        return True

    def release(self, byte: int) -> None:
        """Release a byte, unless all are released already."""
        if self._file < 0:
            return
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)

    @contextlib.contextmanager
    def claimed(self, key: bytes) -> Iterator[bool]:
        """Hold the claim on a key; yield whether no other process has it.

        Raises:
            OSError: the file system has no locks.
        """
        byte = _KEYS + int.from_bytes(key[:6], "big")
        mine = self.acquire(byte)
        try:
            yield mine
        finally:
            if mine:
                self.release(byte)

    def is_current(self) -> bool:
        """Whether the open file is still the one at its path, so that nobody has removed the set."""
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Release all locks; safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            _open[self._path] -= 1


def open_here(path: Path) -> bool:
    """Whether this process has the lock file open."""
    return _open[path] > 0
