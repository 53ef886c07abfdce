"""A file system that is read-only, also for root: files can be read, but neither written nor locked."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest


def make_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to open files for writing from now on, and say so to those who ask before."""
    opened = os.open

    def refuse_to_write(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse_to_write)
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
