"""An agent on a queue in this process: what it answers to results, failures, signals and device errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ddsweep import agent, sweep, trial
from ddsweep.backends import Definition, Lease, Point, Queue, State
from ddsweep.backends.memory import MemoryStore
from ddsweep.recipe import Recipe
from ddsweep.results.result import Result
from ddsweep.sweep import Sweep
from ddsweep.trackers import status
from ddsweep.trackers.status import AgentStatus, StatusTracker


@pytest.fixture
def one() -> Sweep:
    return sweep.load("ablation-alpha", "demo", {"alpha": [0, 1, 10]})


@pytest.fixture
def queue(one: Sweep) -> Queue:
    backend = MemoryStore(Lease(1, 60)).sweep(one.full_name)
    points = [Point(cell.key, dict(cell.point), cell.key, cell.recipe.title()) for cell in one.cells]
    backend.register(Definition(one.full_name, points, one.definition(), 2))
    return backend


def fake(monkeypatch: pytest.MonkeyPatch, outcome: Any) -> list[Recipe]:
    """Replace the trial: ``outcome(recipe)`` returns a result or raises."""
    ran: list[Recipe] = []

    def run(recipe: Recipe, *rest: Any) -> Result:
        ran.append(recipe)
        return outcome(recipe)

    monkeypatch.setattr(trial, "run", run)
    return ran


def work(queue: Queue, one: Sweep, leaving: agent.Leaving | None = None) -> None:
    tracker = StatusTracker(Path("agents"), AgentStatus(agent.name(), "cpu", one.full_name))
    agent.Agent(queue, one, Path("runs"), "cpu", tracker, leaving or agent.Leaving()).work()


def test_every_cell_once_in_order(queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = fake(monkeypatch, lambda recipe: Result(recipe, {"convnet3": [0.5]}))
    work(queue, one)
    assert [recipe.alpha for recipe in ran] == [0.0, 1.0, 10.0]
    rows = queue.status().rows
    assert [row.value for row in rows] == [0.5] * 3
    assert rows[0].attributes["accuracy/convnet3"] == 0.5


def test_a_failing_cell_does_not_stop_the_rest(queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome(recipe: Recipe) -> Result:
        if recipe.alpha == 1:
            raise ZeroDivisionError("by design")
        return Result(recipe, {"convnet3": [0.5]})

    monkeypatch.setattr(agent, "RECONCILE", 0.0)
    ran = fake(monkeypatch, outcome)
    work(queue, one)
    rows = queue.status().rows
    assert [row.state for row in rows] == [State.COMPLETE, State.FAILED, State.COMPLETE]
    assert (rows[1].attempts, rows[1].reason) == (2, "ZeroDivisionError: by design")
    assert len(ran) == 4


def test_a_diverged_cell_fails_with_its_reason(queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "RECONCILE", 0.0)
    fake(monkeypatch, lambda recipe: Result(recipe, state="failed", reason="the loss is nan"))
    work(queue, one)
    assert {(row.state, row.reason) for row in queue.status().rows} == {(State.FAILED, "the loss is nan")}


def test_a_device_error_spends_the_attempt_and_ends_the_process(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcome(recipe: Recipe) -> Result:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    fake(monkeypatch, outcome)
    with pytest.raises(agent.Poisoned):
        work(queue, one)
    row = queue.status().rows[0]
    assert (row.attempts, row.state) == (1, State.WAITING) or row.state is State.FAILED
    assert "out of memory" in row.reason


@pytest.fixture
def leaving(monkeypatch: pytest.MonkeyPatch) -> Iterator[agent.Leaving]:
    one = agent.Leaving()
    before = signal.signal(signal.SIGTERM, one.hear)
    yield one
    signal.signal(signal.SIGTERM, before)


def test_being_asked_to_leave_gives_the_cell_back_unspent(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, leaving: agent.Leaving
) -> None:
    def outcome(recipe: Recipe) -> Result:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        time.sleep(10)
        raise AssertionError("not interrupted")

    fake(monkeypatch, outcome)
    work(queue, one, leaving)
    assert [(row.state, row.attempts) for row in queue.status().rows] == [(State.WAITING, 0)] * 3


@pytest.mark.parametrize("moment", ["claim", "complete", "fail"])
def test_no_cell_is_lost_however_unlucky_the_moment(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, leaving: agent.Leaving, moment: str
) -> None:
    """Asked to leave right after the storage has written: the claim is given back, the answer stands."""
    from ddsweep.backends.lease import LeasedClaim

    owner: Any = type(queue) if moment == "claim" else LeasedClaim
    real = getattr(owner, moment)

    def interrupted(*arguments: Any) -> Any:
        answer = real(*arguments)
        os.kill(os.getpid(), signal.SIGTERM)
        return answer

    def outcome(recipe: Recipe) -> Result:
        if moment == "fail":
            raise ZeroDivisionError
        return Result(recipe, {"convnet3": [0.5]})

    monkeypatch.setattr(owner, moment, interrupted)
    fake(monkeypatch, outcome)
    work(queue, one, leaving)
    row = queue.status().rows[0]
    expected = {"claim": (State.WAITING, 0), "complete": (State.COMPLETE, 1), "fail": (State.WAITING, 1)}
    assert (row.state, row.attempts) == expected[moment] or (moment, row.state) == ("fail", State.FAILED)
    assert queue.status().count(State.RUNNING) == 0


def test_a_cell_of_another_version_is_refused(queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "RECONCILE", 0.0)
    monkeypatch.setattr(Recipe, "key", lambda self: "other")
    fake(monkeypatch, lambda recipe: pytest.fail("was run"))
    work(queue, one)
    assert "another version" in queue.status().rows[0].reason


def test_an_agent_dies_with_its_launcher(tmp_path: Path) -> None:
    """The launcher is killed outright; its child, in a session of its own, must follow."""
    child = (
        "import os, time; from ddsweep import agent; agent.die_with(os.getppid()); print(os.getpid(), flush=True); "
        "time.sleep(60)"
    )
    launcher = (
        "import subprocess, sys, time; "
        f"subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", launcher], stdout=subprocess.PIPE)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and Path(f"/proc/{pid}").exists() and not zombie(pid):
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists() or zombie(pid)


def zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] == "Z"
    except OSError:
        return True


def test_the_status_file_goes_with_the_agent(queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def outcome(recipe: Recipe) -> Result:
        seen.extend(status.read_all(Path("agents")))
        return Result(recipe, {"convnet3": [0.5]})

    fake(monkeypatch, outcome)
    work(queue, one)
    assert seen == []  # nothing is shown before an agent has something to say
    assert [found.phase for found in status.read_all(Path("agents"))] == ["waiting"]
