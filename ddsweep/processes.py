"""Processes that end together: what was started leaves when its parent is gone, however that went.

Nothing else keeps a GPU free: a parent that is killed outright can tell its children nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

LOOK = 1.0  # seconds between two looks at the parent, where the kernel does not tell us
PATIENCE = 28.0  # seconds after the polite request before the process is ended; saving and uploading take fewer
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def end_with(parent: int) -> None:
    """Leave (TERM) when the process ``parent``, which started this one, is gone; end if still there after a while.

    Linux tells us at once; elsewhere, and for a parent that was gone before we asked, a thread looks every second.
    """
    tie()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE)
        os._exit(1)  # stuck in a kernel, where no signal handler runs

    threading.Thread(target=watch, name="watch the parent", daemon=True).start()


def tie() -> None:
    """Ask the kernel to send this process TERM when the thread that started it ends. Nothing where there is no Linux.

    The request outlives ``exec``: given as ``preexec_fn`` it holds for programs that are not ours.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
