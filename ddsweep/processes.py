"""Processes that end together: a child process ends when its parent has ended, for whatever reason.

Otherwise the children of a parent that was killed (SIGKILL) would keep its GPUs busy.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

POLL_SECONDS = 1.0  # between two checks of the parent, where the kernel does not signal its end
EXIT_SECONDS = 28.0  # from SIGTERM until the process is ended; saving and uploading take less
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


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
