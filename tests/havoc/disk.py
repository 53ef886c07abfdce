"""A small disk, which can be full."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import SUDO

SIZE = "96m"
PIECE = 1 << 16


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A tmpfs at ``place``. The test fails in one line where nothing can be mounted."""
    place.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700,uid={os.getuid()},gid={os.getgid()}", "chaos", str(place))
    try:
        yield place
    finally:
        _run("umount", "--lazy", str(place))


@contextlib.contextmanager
def full(place: Path) -> Iterator[None]:
    """Inside, not a byte is left."""
    ballast = place / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(_NoRoom):
            while True:
                _write(file.fileno())
        yield
    finally:
        ballast.unlink()


class _NoRoom(Exception):
    pass


def _write(descriptor: int) -> None:
    try:
        os.write(descriptor, bytes(PIECE))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _NoRoom from None


def _run(*words: str) -> None:
    try:
        done = subprocess.run([*SUDO, *words], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.fail(f"this test needs {error.filename} (Debian packages mount and sudo)")
    if done.returncode:
        pytest.fail(
            "this test mounts a small disk, so it needs root or sudo without a password; "
            f"`{' '.join(words)}` said: {done.stderr.strip()}"
        )
