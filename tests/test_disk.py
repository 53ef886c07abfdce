"""Full disks, as they really are reported, and room on them."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from ddsweep import files
from ddsweep.errors import UserError


def test_a_full_disk_is_recognised_through_what_wraps_it() -> None:
    with pytest.raises(UserError) as caught, files.atomic(Path("x.txt")):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
    assert files.is_full(caught.value)
    assert not list(Path.cwd().iterdir())
    assert files.is_full(sqlite3.OperationalError("database or disk is full"))
    assert files.is_full(OSError("Error while serializing: No space left on device (os error 28)"))
    for other in (OSError(errno.EACCES, "Permission denied"), UserError("alpha: too full"), ValueError("28")):
        assert not files.is_full(other)


def test_writing_to_the_full_device() -> None:
    with pytest.raises(OSError) as caught, Path("/dev/full").open("w") as file:
        file.write("x")
        file.flush()
    assert files.is_full(caught.value)


def test_room_is_free_space_and_leave_to_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def usage(free: int, total: int) -> None:
        monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free, total=total))

    here = Path("not/yet/there")
    for free, total, room in ((300 << 20, 1 << 40, True), (100 << 20, 1 << 40, False), (10 << 20, 64 << 20, True)):
        usage(free, total)
        assert files.has_free_space(here) is room
    usage(1 << 40, 1 << 40)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # what a quota does: plenty is free, and not for us
    try:
        assert not files.has_free_space(here)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(Path.cwd().iterdir())
