"""GpuLock between processes: shared use, exclusive use, and the order of waiting trials."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from ddsweep.agent import gpu_lock
from ddsweep.agent.gpu_lock import GpuLock

HOLDER = """
import sys
from pathlib import Path
from ddsweep.agent.gpu_lock import GpuLock
with getattr(GpuLock(sys.argv[2], Path("locks")), sys.argv[1])(lambda: True) as inside:
    print(inside, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_lock, "POLL_SECONDS", 0.01)


class Other:
    """An agent in another process that holds a GPU."""

    def __init__(self, how: str, gpu: str = "gpu-a") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, how, gpu], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def inside(self) -> bool:
        out: IO[str] | None = self.process.stdout
        assert out is not None
        return out.readline().strip() == "True"

    def leave(self) -> None:
        self.process.communicate("\n")


@pytest.fixture
def other() -> Iterator[type[Other]]:
    started: list[Other] = []

    class Started(Other):
        def __init__(self, how: str, gpu: str = "gpu-a") -> None:
            super().__init__(how, gpu)
            started.append(self)

    yield Started
    for one in started:
        one.process.kill()
        one.process.communicate()


def tries(number: int) -> gpu_lock.KeepWaiting:
    """A condition that is true ``number`` times."""
    left = iter(range(number))
    return lambda: next(left, None) is not None


def test_trials_share_a_gpu(other: type[Other]) -> None:
    assert other("shared").inside()
    with GpuLock("gpu-a", Path("locks")).shared(tries(3)) as inside:
        assert inside


def test_alone_means_alone_and_on_one_gpu_only(other: type[Other]) -> None:
    assert other("exclusive").inside()
    with GpuLock("gpu-a", Path("locks")).shared(tries(5)) as inside:
        assert not inside
    with GpuLock("gpu-a", Path("locks")).exclusive(tries(5)) as inside:
        assert not inside
    with GpuLock("gpu-b", Path("locks")).shared(tries(5)) as inside:
        assert inside


def test_who_waits_to_be_alone_is_not_overtaken(other: type[Other]) -> None:
    """A retry waits for the trial on the GPU; an agent that arrives later waits for the retry."""
    first = other("shared")
    assert first.inside()
    entered, leave = threading.Event(), threading.Event()

    def retry() -> None:
        with GpuLock("gpu-a", Path("locks")).exclusive(lambda: True) as inside:
            assert inside
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=retry)
    thread.start()
    while True:  # until the retry holds the gate
        with GpuLock("gpu-a", Path("locks")).shared(tries(3)) as inside:
            if not inside:
                break
        time.sleep(0.01)
    assert not entered.is_set()
    first.leave()
    assert entered.wait(60)
    leave.set()
    thread.join(60)
    with GpuLock("gpu-a", Path("locks")).shared(lambda: True) as inside:
        assert inside


def test_a_dead_agent_holds_nothing(other: type[Other]) -> None:
    one = other("exclusive")
    assert one.inside()
    one.process.kill()
    one.process.wait()
    with GpuLock("gpu-a", Path("locks")).exclusive(lambda: True) as inside:
        assert inside
