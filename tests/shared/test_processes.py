"""Several processes with one set of records: they share the work, and none of them waits for one that is stuck."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ddsweep.shared import sets
from ddsweep.shared.budget import Budget
from ddsweep.shared.locks import APPEND
from ddsweep.shared.records import Following
from ddsweep.shared.sharing import Sharing

PLENTY = Budget(size=10**9)
HOLDER = """
import sys, time
from pathlib import Path
from ddsweep.shared.locks import Locks
locks = Locks(Path(sys.argv[1]))
held = [locks.acquire(max(0, int(byte)), shared=byte == "0") for byte in sys.argv[2:]]  # -1: to remove the set
print(all(held), flush=True)
time.sleep(600)
"""
WORKER = """
import json, sys, time
from pathlib import Path
import torch
from tests.shared.test_processes import PLENTY, steps
from ddsweep.shared.sharing import Sharing
one = Sharing({}, torch.device("cpu"), PLENTY, folder=Path(sys.argv[1]))
records = one.records("means")
print("ready", flush=True)
sys.stdin.readline()
found = []
for key, compute, ahead in steps(int(sys.argv[2])):
    found.append(float(records.get(key, compute, ahead)))
    time.sleep(float(sys.argv[3]))
print(json.dumps({"found": found, "computed": records.computed, "read": records.read}))
"""


def steps(count: int, seconds: float = 0.02) -> Iterator[tuple[bytes, Callable[[], Tensor], Callable[[], Following]]]:
    """Steps whose tensors take some time to compute, each with those that follow it."""

    def computed(step: int) -> Callable[[], Tensor]:
        def compute() -> Tensor:
            time.sleep(seconds)
            return torch.tensor(float(step))

        return compute

    def following(step: int) -> Following:
        yield from ((b"%d" % later, computed(later)) for later in range(step + 1, count))

    for step in range(count):
        yield b"%d" % step, computed(step), partial(following, step)


def started(code: str, *words: object) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", code, *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(arguments, text=True, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process that holds locks on the set ``means``, and does nothing."""
    processes = []

    def start(*held: int) -> subprocess.Popen[str]:
        path = sets.path_of(tmp_path / "shared", "means", {"kind": "means"})
        path.mkdir(parents=True, exist_ok=True)
        process = started(HOLDER, path / sets.LOCK, *held)
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def claim(key: bytes) -> int:
    """The byte that is locked by who computes a record."""
    return (1 << 20) + int.from_bytes(hashlib.sha256(key).digest()[:6], "big")


def computed_in_order(tmp_path: Path, count: int, ahead: bool) -> tuple[list[float], Sharing, float]:
    one = Sharing({}, torch.device("cpu"), PLENTY, folder=tmp_path / "shared")
    records, began = one.records("means"), time.monotonic()
    found = [float(records.get(key, compute, following if ahead else None)) for key, compute, following in steps(count)]
    one.close()
    return found, one, time.monotonic() - began


def test_processes_that_start_together_share_the_work(tmp_path):
    workers = [started(WORKER, tmp_path / "shared", 60, 0.001 * speed) for speed in (0, 3, 1)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    results = [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    assert all(one["found"] == list(range(60)) for one in results)
    computed = [one["computed"] for one in results]
    assert sum(computed) < 60 + 20  # alone, they would compute 180
    assert max(computed) < 50


@pytest.mark.parametrize("ahead", [True, False])
def test_a_stopped_process_is_not_waited_for(ahead, holder, tmp_path):
    process = holder(claim(b"2"), claim(b"5"))
    process.send_signal(signal.SIGSTOP)
    found, _, seconds = computed_in_order(tmp_path, 10, ahead)
    assert found == list(range(10))
    assert seconds < 10 * 0.02 * 10
    again, one, _ = computed_in_order(tmp_path, 10, ahead)
    assert again == found
    assert one.counts() == {"means": {"read": 10, "computed": 0}}


def test_a_process_that_is_stopped_while_it_writes_costs_the_others_its_sharing_only(holder, tmp_path):
    process = holder(APPEND)
    process.send_signal(signal.SIGSTOP)
    found, one, seconds = computed_in_order(tmp_path, 10, ahead=True)
    assert found == list(range(10))
    assert seconds < 10 * 0.02 * 10
    assert one.counts() == {"means": {"read": 0, "computed": 10}}
    process.kill()
    process.wait()
    computed_in_order(tmp_path, 10, ahead=True)
    _, one, _ = computed_in_order(tmp_path, 10, ahead=True)
    assert one.counts() == {"means": {"read": 10, "computed": 0}}


def test_claims_end_with_their_process(holder, tmp_path):
    process = holder(claim(b"0"))
    process.kill()
    process.wait()
    found, one, _ = computed_in_order(tmp_path, 3, ahead=False)
    assert found == [0, 1, 2]
    assert one.counts() == {"means": {"read": 0, "computed": 3}}


def test_a_set_that_another_process_uses_is_not_removed(holder, tmp_path):
    computed_in_order(tmp_path, 3, ahead=False)
    process = holder(0)
    (one,) = sets.listed(tmp_path / "shared")
    assert sets.in_use(one)
    assert not sets.remove(one)
    process.kill()
    process.wait()
    assert not sets.in_use(one)
    assert sets.remove(one)
    assert sets.listed(tmp_path / "shared") == []


def test_a_process_that_is_stopped_while_it_removes_a_set_does_not_stop_others(holder, tmp_path, caplog):
    process = holder(-1)
    process.send_signal(signal.SIGSTOP)
    found, one, seconds = computed_in_order(tmp_path, 3, ahead=True)
    assert found == [0, 1, 2]
    assert seconds < 10
    assert one.counts() == {"means": {"read": 0, "computed": 3}}
    assert "another process is removing it" in caplog.text


def test_a_set_that_this_process_uses_is_not_removed(tmp_path):
    one = Sharing({}, torch.device("cpu"), PLENTY, folder=tmp_path / "shared")
    records = one.records("means")
    records.get(b"1", lambda: torch.ones(3))
    (found,) = sets.listed(tmp_path / "shared")
    assert sets.in_use(found)
    assert not sets.remove(found)
    one.close()
    assert sets.remove(found)
