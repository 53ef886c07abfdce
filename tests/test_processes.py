"""A child and a grandchild whose launcher is killed outright must follow, in sessions of their own or not."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ddsweep import processes

ENDS_WITH = "import os, time; from ddsweep import processes; processes.end_with(os.getppid())"
TIED = "import subprocess, sys, time; from ddsweep import processes"


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that nobody collects has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def killed_outright(code: str) -> int:
    """Start ``code``, which prints the pid of a descendant, and kill it; the pid."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert not gone(pid)
    process.kill()
    process.communicate()
    return pid


def ends(pid: int, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return gone(pid)


@pytest.mark.parametrize("kernel", [True, False], ids=["told by the kernel", "looking for itself"])
def test_a_process_ends_with_its_parent(kernel: bool) -> None:
    child = ENDS_WITH if kernel else ENDS_WITH.replace("processes.end", "processes._LIBC = None; processes.end")
    child += "; print(os.getpid(), flush=True); time.sleep(60)"
    launcher = (
        "import subprocess, sys, time; "
        f"subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True); time.sleep(60)"
    )
    assert ends(killed_outright(launcher))


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_program_that_is_not_ours_ends_with_its_parent() -> None:
    launcher = (
        f"{TIED}; child = subprocess.Popen(['sleep', '60'], start_new_session=True, preexec_fn=processes.tie); "
        "print(child.pid, flush=True); time.sleep(60)"
    )
    assert ends(killed_outright(launcher))


def test_one_that_does_not_listen_is_ended() -> None:
    """TERM is ignored, as by a process that is stuck in a kernel."""
    child = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        + ENDS_WITH.replace("processes.end", "processes.EXIT_SECONDS = 0.2; processes.end")
        + "; print(os.getpid(), flush=True); time.sleep(60)"
    )
    launcher = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    assert ends(killed_outright(launcher))


def test_a_parent_that_was_gone_before_we_asked() -> None:
    code = ENDS_WITH.replace("os.getppid()", "1 << 30") + "; time.sleep(60)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == -processes.signal.SIGTERM
