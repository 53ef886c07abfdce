"""Processes that end together, and processes that have ended.

A child process ends when its parent has ended, for whatever reason: otherwise the children of a parent that was killed
(SIGKILL) would keep its GPUs busy. And a process that was killed can be recognized as such later, on the same host.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

POLL_SECONDS = 1.0  # between two checks of the parent, where the kernel does not signal its end
EXIT_SECONDS = 28.0  # from SIGTERM until the process is ended; saving and uploading take less
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Terminated(KeyboardInterrupt):
    """SIGTERM, for a command that ends on it as it does on Ctrl-C."""


def sees_working_folder() -> bool:
    """Whether this process imports modules from its working folder, as ``python -m`` and notebooks do."""
    here = Path.cwd().resolve()
    return any(Path(entry or ".").resolve() == here for entry in sys.path)


def command(sees_folder: bool, module: str = "ddsweep") -> list[str]:
    """Return the words that run a module of ddsweep in another process, with the same modules as here.

    Args:
        sees_folder: whether it imports modules from its working folder, too, where a copy of a plugin may lie.
        module: the module that is run.
    """
    return [sys.executable, *([] if sees_folder else ["-P"]), "-m", module]


def end_with(parent: int) -> None:
    """Send this process SIGTERM when its parent ``parent`` has ended, and end it ``EXIT_SECONDS`` later.

    Linux sends the signal at once; elsewhere, and if the parent ended before this call, a thread checks every second.
    """
    tie()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(EXIT_SECONDS)
        os._exit(1)  # stuck in a CUDA kernel, where no signal handler runs

    threading.Thread(target=watch, name="watch the parent", daemon=True).start()


def tie() -> None:
    """Ask the kernel to send this process SIGTERM when the thread that started it ends. Does nothing except on Linux.

    The request survives ``exec``: as ``preexec_fn`` it also works for other programs.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def identity() -> dict[str, Any]:
    """This process, so that ``has_ended`` recognizes its end, as JSON; empty where that is impossible (not on Linux).

    A PID alone is used again by later processes, and other hosts and containers have the same PIDs. Therefore it has
    the host's name, the boot, the namespace of the PID, and the time of the process's start.
    """
    try:
        return {**_place(), "pid": os.getpid(), "started": _state(os.getpid())[1]}
    except (OSError, ValueError, IndexError):
        return {}


def has_ended(identity: Mapping[str, Any]) -> bool:
    """Whether a process has certainly ended; False if it runs, or if that cannot be known here."""
    try:
        here = all(identity[name] == value for name, value in _place().items())
        pid, started = int(identity["pid"]), identity["started"]
    except (OSError, KeyError, ValueError, TypeError):
        return False
    return here and (not exists(pid) or _is_another(pid, started))


def exists(pid: int) -> bool:
    """Whether a process of this host has this PID."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # a process of another user
        pass
    return True


def _is_another(pid: int, started: str) -> bool:
    """Whether a PID now belongs to a later process, or to a zombie, which computes nothing any more."""
    try:
        state, since = _state(pid)
    except (OSError, ValueError, IndexError):  # the system hides the processes of other users
        return False
    return since != started or state in ("Z", "X")


def _place() -> dict[str, str]:
    """Where PIDs have one meaning: a host between two boots, and a namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return {"host": socket.gethostname(), "boot": boot, "namespace": str(Path("/proc/self/ns/pid").readlink())}


def _state(pid: int) -> tuple[str, str]:
    """The state of a process (``R``, ``S``, ``Z``, …) and the time of its start, in clock ticks since the boot."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    fields = stat[stat.rindex(")") + 2 :].split()  # the name in parentheses may contain anything
    return fields[0], fields[19]
