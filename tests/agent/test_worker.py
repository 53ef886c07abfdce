"""An agent on a queue in this process: its response to results, failures, signals and device errors."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ddsweep import agent, files, sweep, trial
from ddsweep.agent.gpu_lock import GpuLock
from ddsweep.backends import Definition, Lease, Point, Queue, State
from ddsweep.backends.memory import MemoryStore
from ddsweep.checkpoints import Interrupted
from ddsweep.errors import UserError
from ddsweep.recipe import Recipe
from ddsweep.results.result import Result
from ddsweep.sweep import Sweep
from ddsweep.trackers import status
from ddsweep.trackers.status import AgentStatus, StatusTracker


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll an empty queue and the GPU lock almost without delay."""
    monkeypatch.setattr("ddsweep.agent.worker.IDLE_SECONDS", 0.01)
    monkeypatch.setattr("ddsweep.agent.gpu_lock.POLL_SECONDS", 0.01)


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
    """Replace the trial by ``outcome(recipe)``, which returns a result or raises; return the recipes that are run."""
    ran: list[Recipe] = []

    def run(recipe: Recipe, *rest: Any, **more: Any) -> Result:
        ran.append(recipe)
        return outcome(recipe)

    monkeypatch.setattr(trial, "run", run)
    return ran


def work(queue: Queue, one: Sweep, shutdown: agent.Shutdown | None = None) -> None:
    tracker = StatusTracker(Path("agents"), AgentStatus(agent.name(), "cpu", one.full_name))
    gpu_lock = GpuLock("cpu", Path("locks"))
    agent.Agent(queue, one, Path("runs"), "cpu", tracker, shutdown or agent.Shutdown(), gpu_lock).work()


def works(queue: Queue, one: Sweep) -> list[type[BaseException]]:
    """Run agents one after the other, as a launcher does, until the queue is drained; return why each restarted."""
    endings: list[type[BaseException]] = []
    while True:
        try:
            work(queue, one)
        except agent.RestartNeeded as error:
            endings.append(type(error))
        else:
            return endings


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

    monkeypatch.setattr("ddsweep.agent.worker.RECONCILE_SECONDS", 0.0)
    ran = fake(monkeypatch, outcome)
    work(queue, one)
    rows = queue.status().rows
    assert [row.state for row in rows] == [State.COMPLETE, State.FAILED, State.COMPLETE]
    assert (rows[1].attempts, rows[1].reason) == (2, "ZeroDivisionError: by design")
    assert len(ran) == 4


def test_a_diverged_cell_is_a_finding_and_not_tried_again(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddsweep.agent.worker.RECONCILE_SECONDS", 0.0)
    ran = fake(monkeypatch, lambda recipe: Result(recipe, state="failed", reason="the loss is nan"))
    work(queue, one)
    rows = queue.status().rows
    assert {(row.state, row.attempts, row.reason) for row in rows} == {(State.FAILED, 1, "the loss is nan")}
    assert len(ran) == 3, "three findings in a row say nothing about the slot"


def broken(recipe: Recipe) -> Result:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_a_device_error_spends_the_attempt_and_ends_the_process(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, broken)
    with pytest.raises(agent.RestartNeeded):
        work(queue, one)
    row = queue.status().rows[0]
    assert (row.attempts, row.state) == (1, State.WAITING)
    assert "illegal memory access" in row.reason


def too_large(recipe: Recipe) -> Result:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def test_a_cell_that_ran_out_of_memory_is_retried_alone_and_not_charged(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[bool] = []

    def outcome(recipe: Recipe) -> Result:
        with GpuLock("cpu", Path("locks")).shared(once()) as inside:
            alone.append(not inside)
        if recipe.alpha == 1 and not alone[-1]:
            too_large(recipe)
        return Result(recipe, {"convnet3": [0.5]})

    fake(monkeypatch, outcome)
    assert works(queue, one) == [agent.RestartNeeded]
    assert alone == [False, False, True, False]
    assert [(row.state, row.attempts, row.reasons) for row in queue.status().rows] == [(State.COMPLETE, 1, ())] * 3


def test_out_of_memory_alone_is_a_failure_that_says_so(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddsweep.agent.worker.RECONCILE_SECONDS", 0.0)
    ran = fake(monkeypatch, lambda recipe: too_large(recipe) if recipe.alpha else Result(recipe, {"convnet3": [0.5]}))
    with pytest.raises(agent.RestartNeeded):
        work(queue, one)
    assert [row.attempts for row in queue.status().rows] == [1, 0, 0]
    assert works(queue, one)
    bad = queue.status().rows[1]
    assert (bad.state, bad.attempts) == (State.FAILED, 2)
    assert all(reason.startswith("out of GPU memory alone on cpu (") for reason in bad.reasons)
    assert "Tried to allocate 20.00 GiB" in bad.reason
    assert Counter(recipe.alpha for recipe in ran) == {0.0: 1, 1.0: 4, 10.0: 4}


def once() -> Any:
    """A condition that is true twice, and false afterwards."""
    answers = iter([True, True])
    return lambda: next(answers, False)


def test_different_cells_that_fail_in_a_row_close_the_slot(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = fake(monkeypatch, broken_data)
    with pytest.raises(agent.BadDevice, match="no such disk"):
        work(queue, one)
    assert len(ran) == 3
    assert [(row.state, row.attempts) for row in queue.status().rows] == [(State.WAITING, 1)] * 3


def broken_data(recipe: Recipe) -> Result:
    raise OSError("no such disk")


class Full(list[bool]):
    """A fake for ``has_free_space``: its answers in order, then True."""

    def __call__(self, folder: Path) -> bool:
        return self.pop(0) if self else True


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Full:
    """The disk is full at three of the first five checks."""
    pruning = Full([False, True, True, False, False])
    monkeypatch.setattr(files, "has_free_space", pruning)
    monkeypatch.setattr("ddsweep.agent.worker.PAUSE_SECONDS", 0.01)
    return pruning


def test_a_full_disk_pauses_the_agent_and_costs_no_attempt(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, full: Full
) -> None:
    phases: list[str] = []

    def outcome(recipe: Recipe) -> Result:
        if full:
            files.write_json(Path("runs/x.json"), recipe.model_dump())
        return Result(recipe, {"convnet3": [0.5]})

    def write(path: Path, text: str, encoding: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def show(tracker: StatusTracker, phase: str, cell: str = "") -> None:
        if phase != "starting":
            phases.append(phase)
            phases.extend(f"{row.state} {row.attempts}" for row in queue.status().rows[:1])

    monkeypatch.setattr(StatusTracker, "show", show)
    monkeypatch.setattr(Path, "write_text", write)
    ran = fake(monkeypatch, outcome)
    work(queue, one)
    assert phases == ["paused: disk full at runs", "waiting 0"]
    assert [(row.state, row.attempts, row.reasons) for row in queue.status().rows] == [(State.COMPLETE, 1, ())] * 3
    assert not full and len(ran) == 4
    assert not list(Path("runs").glob("*")), "nothing is half written"


def test_an_answer_waits_for_a_storage_that_lies_on_the_full_disk(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, full: Full
) -> None:
    from ddsweep.backends.memory import MemoryClaim

    real = MemoryClaim._complete

    def complete(claim: MemoryClaim, *rest: Any) -> bool:
        if full:
            raise UserError("storage runs/ddsweep.db: database or disk is full")
        return real(claim, *rest)

    monkeypatch.setattr(MemoryClaim, "_complete", complete)
    ran = fake(monkeypatch, lambda recipe: Result(recipe, {"convnet3": [0.5]}))
    work(queue, one)
    assert [(row.state, row.attempts) for row in queue.status().rows] == [(State.COMPLETE, 1)] * 3
    assert len(ran) == 3, "a result that was there is not computed again"


def test_a_storage_without_room_pauses_the_agent(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, full: Full
) -> None:
    real = type(queue).claim

    def claim(self: Any, name: str) -> Any:
        if full:
            raise UserError("storage runs/ddsweep.db: database or disk is full")
        return real(self, name)

    monkeypatch.setattr(type(queue), "claim", claim)
    fake(monkeypatch, lambda recipe: Result(recipe, {"convnet3": [0.5]}))
    work(queue, one)
    assert queue.drained()


@pytest.fixture
def shutdown(monkeypatch: pytest.MonkeyPatch) -> Iterator[agent.Shutdown]:
    monkeypatch.setattr("ddsweep.agent.shutdown.SAVE_SECONDS", 0.05)
    one = agent.Shutdown()
    before = signal.signal(signal.SIGTERM, one.handle_signal)
    yield one
    signal.signal(signal.SIGTERM, before)


def test_asked_to_leave_a_trial_saves_first_and_goes_on_from_there(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, shutdown: agent.Shutdown
) -> None:
    """Repeated signals change nothing: a launcher, the kernel and Slurm may each send one."""
    monkeypatch.setattr("ddsweep.agent.shutdown.SAVE_SECONDS", 60.0)
    told: list[bool] = []

    def run(recipe: Recipe, *rest: Any, **more: Any) -> Result:
        checkpoints = rest[-1]
        for _ in range(3):
            told.append(checkpoints.leave())
            os.kill(os.getpid(), signal.SIGTERM)
        told.append(checkpoints.leave())
        raise Interrupted

    before = signal.getsignal(signal.SIGALRM)
    monkeypatch.setattr(trial, "run", run)
    work(queue, one, shutdown)
    assert told == [False, True, True, True]
    assert [(row.state, row.attempts) for row in queue.status().rows] == [(State.WAITING, 0)] * 3
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) == before


def test_being_asked_to_leave_gives_the_cell_back_unspent(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, shutdown: agent.Shutdown
) -> None:
    def outcome(recipe: Recipe) -> Result:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        time.sleep(10)
        raise AssertionError("not interrupted")

    fake(monkeypatch, outcome)
    work(queue, one, shutdown)
    assert [(row.state, row.attempts) for row in queue.status().rows] == [(State.WAITING, 0)] * 3


@pytest.mark.parametrize("moment", ["claim", "complete", "fail"])
def test_no_cell_is_lost_however_unlucky_the_moment(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, shutdown: agent.Shutdown, moment: str
) -> None:
    """A signal arrives right after the storage has written: a claim is released, a recorded outcome stands."""
    from ddsweep.backends.claim import Claim

    owner: Any = type(queue) if moment == "claim" else Claim
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
    work(queue, one, shutdown)
    row = queue.status().rows[0]
    expected = {"claim": (State.WAITING, 0), "complete": (State.COMPLETE, 1), "fail": (State.WAITING, 1)}
    assert (row.state, row.attempts) == expected[moment] or (moment, row.state) == ("fail", State.FAILED)
    assert queue.status().count(State.RUNNING) == 0


def test_a_cell_of_another_version_is_refused(queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddsweep.agent.worker.RECONCILE_SECONDS", 0.0)
    monkeypatch.setattr(Recipe, "key", lambda self: "other")
    fake(monkeypatch, lambda recipe: pytest.fail("was run"))
    with pytest.raises(agent.BadDevice):  # an agent of another version fails every cell
        work(queue, one)
    assert "another version" in queue.status().rows[0].reason


@pytest.mark.parametrize("mode", ["drain", "now"])
def test_being_asked_to_stop_through_the_storage(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, shutdown: agent.Shutdown, mode: str
) -> None:
    """A request during the first cell: ``drain`` finishes it, ``now`` releases it; no other cell is started."""

    def outcome(recipe: Recipe) -> Result:
        queue.ask_to_stop(mode)
        shutdown.request(queue.report("a:1", {}))
        time.sleep(10 if mode == "now" else 0)
        return Result(recipe, {"convnet3": [0.5]})

    ran = fake(monkeypatch, outcome)
    work(queue, one, shutdown)
    assert len(ran) == 1
    first = {"drain": (State.COMPLETE, 1), "now": (State.WAITING, 0)}[mode]
    assert [(row.state, row.attempts) for row in queue.status().rows] == [first, *[(State.WAITING, 0)] * 2]


def test_an_agent_that_comes_to_a_stopped_sweep_begins_nothing(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.ask_to_stop("drain")
    ran = fake(monkeypatch, lambda recipe: pytest.fail("was run"))
    work(queue, one)
    assert ran == []
    assert not queue.drained()


def test_the_status_file_goes_with_the_agent(queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def outcome(recipe: Recipe) -> Result:
        seen.extend(status.read_all(Path("agents")))
        return Result(recipe, {"convnet3": [0.5]})

    fake(monkeypatch, outcome)
    work(queue, one)
    assert [found.phase for found in seen] == ["starting"] * 3
    assert [found.cell for found in seen] == [row.point.title for row in queue.status().rows]
    assert [found.phase for found in status.read_all(Path("agents"))] == ["waiting"]
