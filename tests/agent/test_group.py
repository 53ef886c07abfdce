"""Cells that an agent runs as a group: each has the result, the checkpoint and the outcome that it has alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ddsweep import agent, files, sweep, trial
from ddsweep.agent import group, outcomes, worker
from ddsweep.agent.gpu_lock import GpuLock
from ddsweep.backends import Definition, Lease, Point, Queue, Row, State
from ddsweep.backends.memory import MemoryStore
from ddsweep.distill import lockstep
from ddsweep.distill.lockstep import advance
from ddsweep.distill.methods.distribution_matching import DistributionMatching
from ddsweep.distill.synthetic import read
from ddsweep.errors import UserError
from ddsweep.results.result import read as read_result
from ddsweep.sweep import Sweep
from ddsweep.trackers import Tracker, status
from ddsweep.trackers.status import AgentStatus, StatusTracker

TINY: dict[str, Any] = {
    "target": "shapes", "size": 8, "arch": "convnet1", "width": 4, "ipc": 2, "iterations": 6, "batch_real": 4,
    "ptm_train_epochs": 1, "eval_nets": 1, "eval_epochs": 2,
}  # fmt: skip
LIMITS = agent.Limits(most=8)


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddsweep.agent.worker.IDLE_SECONDS", 0.01)
    monkeypatch.setattr("ddsweep.agent.worker.RECONCILE_SECONDS", 0.0)
    monkeypatch.setattr("ddsweep.agent.gpu_lock.POLL_SECONDS", 0.01)


@pytest.fixture
def one() -> Sweep:
    return sweep.load("ablation-alpha", "demo", TINY | {"alpha": [0, 1, 10, 100]})


@pytest.fixture
def queue(one: Sweep) -> Queue:
    backend = MemoryStore(Lease(1, 60)).sweep(one.full_name)
    points = [Point(cell.key, dict(cell.point), cell.key, cell.recipe.title()) for cell in one.cells]
    backend.register(Definition(one.full_name, points, one.definition(), 2))
    return backend


@pytest.fixture
def grouped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of cells in each step that was taken."""
    sizes: list[int] = []

    def counted(cells: Any) -> None:
        sizes.append(len(cells))
        advance(cells)

    monkeypatch.setattr(lockstep, "advance", counted)
    return sizes


@pytest.fixture
def shutdown() -> Iterator[agent.Shutdown]:
    one = agent.Shutdown()
    before = signal.signal(signal.SIGTERM, one.handle_signal)
    yield one
    signal.signal(signal.SIGTERM, before)


def hired(
    queue: Queue, one: Sweep, shutdown: agent.Shutdown | None = None, limits: agent.Limits = LIMITS
) -> worker.Agent:
    tracker = StatusTracker(Path("agents"), AgentStatus(agent.name(), "cpu", one.full_name))
    lock = GpuLock("cpu", Path("locks"))
    return worker.Agent(queue, one, Path("runs"), "cpu", tracker, shutdown or agent.Shutdown(), lock, limits=limits)


def work(queue: Queue, one: Sweep, shutdown: agent.Shutdown | None = None, limits: agent.Limits = LIMITS) -> None:
    hired(queue, one, shutdown, limits).work()


def rows(queue: Queue) -> list[Row]:
    return queue.status().rows


def are_as_alone(one: Sweep, *alphas: float) -> None:
    """Whether the results of these cells (of all, if none is named) are those of trials alone, to the last bit."""
    for cell in one.cells:
        if alphas and cell.recipe.alpha not in alphas:
            continue
        alone = trial.run(cell.recipe, Tracker(), "cpu", Path("alone"))
        found = read_result(Path("runs") / cell.key)
        assert found is not None
        assert (found.accuracies, found.class_accuracy, found.data) == (
            alone.accuracies,
            alone.class_accuracy,
            alone.data,
        )
        ours, theirs = (read(Path(runs) / cell.key / "synthetic.safetensors")[0] for runs in ("runs", "alone"))
        assert torch.equal(ours.images, theirs.images)
        metrics = [(Path(runs) / cell.key / "metrics.jsonl").read_text().count("\n") for runs in ("runs", "alone")]
        assert metrics[0] == metrics[1]
        assert not (Path("runs") / cell.key / "checkpoint").exists()


def each_step(monkeypatch: pytest.MonkeyPatch, action: Callable[[list[Any], int], None]) -> None:
    """Call ``action`` with the cells and the number of steps that were taken, before each step."""
    taken = iter(range(10**6))

    def before(cells: Any) -> None:
        action(cells, next(taken))
        advance(cells)

    monkeypatch.setattr(lockstep, "advance", before)


def test_a_group_ends_in_the_bits_of_cells_alone(queue: Queue, one: Sweep, grouped: list[int]) -> None:
    work(queue, one)
    assert grouped == [4] * 6
    assert [(row.state, row.attempts) for row in rows(queue)] == [(State.COMPLETE, 1)] * 4
    are_as_alone(one)
    seconds = [read_result(Path("runs") / cell.key).seconds for cell in one.cells]  # type: ignore[union-attr]
    assert all(set(one) == {"pretrain", "distill", "evaluate"} for one in seconds)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (agent.Limits(1), []), (agent.Limits(3), [3] * 6), (agent.Limits(8, agents=2), [2] * 6),
        (agent.Limits(8, agents=3), [2] * 6), (agent.Limits(), []), (agent.Limits(8, agents=4), []),
    ],
)  # fmt: skip
def test_a_group_is_within_its_limits_and_leaves_other_agents_their_share(
    queue: Queue, one: Sweep, grouped: list[int], limits: agent.Limits, expected: list[int]
) -> None:
    """The last cell of three and one, and a cell that is all of its agent's share, is run alone."""
    work(queue, one, limits=limits)
    assert grouped == expected
    assert [row.state for row in rows(queue)] == [State.COMPLETE] * 4


def test_a_gpu_runs_groups_by_default_and_a_cpu_does_not() -> None:
    assert agent.Limits().on("cuda:1") == group.MOST
    assert [agent.Limits().on(where) for where in ("cpu", "mps")] == [1, 1]
    assert [agent.Limits(3).on(where) for where in ("cpu", "cuda")] == [3, 3]


def test_a_diverging_cell_is_a_finding_and_the_others_go_on(queue: Queue, grouped: list[int]) -> None:
    one = sweep.load("ablation-alpha", "demo", TINY | {"alpha": [0, 1e38, 10]})
    points = [Point(cell.key, dict(cell.point), cell.key, cell.recipe.title()) for cell in one.cells]
    queue = MemoryStore().sweep(one.full_name)
    queue.register(Definition(one.full_name, points, one.definition(), 2))
    work(queue, one)
    assert grouped[0] == 3 and grouped[-1] == 2
    assert [(row.state, row.attempts) for row in rows(queue)] == [
        (State.COMPLETE, 1), (State.FAILED, 1), (State.COMPLETE, 1)
    ]  # fmt: skip
    assert "too large: the loss is" in rows(queue)[1].reason
    are_as_alone(one, 0, 10)


def test_a_cell_that_fails_by_itself_spends_an_attempt_and_the_others_do_not(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failed = trial.save, list[float]()

    def save(learned: Any, recipe: Any, *rest: Any) -> None:
        if recipe.alpha == 1 and not failed:
            failed.append(recipe.alpha)
            raise ZeroDivisionError("by design")
        real(learned, recipe, *rest)

    monkeypatch.setattr(trial, "save", save)
    work(queue, one)
    assert [(row.state, row.attempts) for row in rows(queue)] == [
        (State.COMPLETE, 2 if cell.recipe.alpha == 1 else 1) for cell in one.cells
    ]
    assert rows(queue)[1].reasons == ("ZeroDivisionError: by design",)
    are_as_alone(one)


@pytest.mark.parametrize(
    ("error", "restarts"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), 1),
        (ZeroDivisionError("by design"), 0),
    ],
)  # fmt: skip
def test_a_failed_step_of_several_costs_no_attempt_and_each_is_tried_alone(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, error: Exception, restarts: int
) -> None:
    real, sizes = DistributionMatching.episodes, list[int]()

    def episodes(self: Any, sets: Any, *rest: Any) -> Any:
        sizes.append(len(sets))
        if len(sets) > 1 and len(sizes) == 3:
            raise error
        return real(self, sets, *rest)

    monkeypatch.setattr(DistributionMatching, "episodes", episodes)
    for _ in range(restarts):
        with pytest.raises(outcomes.RestartNeeded):
            work(queue, one)
    work(queue, one)
    assert sizes == [4] * 3 + [1] * 24
    assert [(row.state, row.attempts, row.reasons) for row in rows(queue)] == [(State.COMPLETE, 1, ())] * 4
    are_as_alone(one)


def test_a_device_error_in_one_evaluation_gives_the_others_back(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failed = trial.evaluate, list[int]()

    def evaluate(*given: Any, **more: Any) -> Any:
        if not failed:
            failed.append(1)
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return real(*given, **more)

    monkeypatch.setattr(trial, "evaluate", evaluate)
    with pytest.raises(outcomes.RestartNeeded):
        work(queue, one)
    assert sorted(row.attempts for row in rows(queue)) in ([0, 0, 0, 1], [0, 1, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1])
    assert queue.status().count(State.RUNNING) == 0
    work(queue, one)
    assert sum(len(row.reasons) for row in rows(queue)) == 1
    assert [row.state for row in rows(queue)] == [State.COMPLETE] * 4
    are_as_alone(one)


@pytest.mark.parametrize("cell", [0, 2])
def test_out_of_memory_in_one_cell_sends_each_of_its_group_to_be_tried_alone(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, grouped: list[int], cell: int
) -> None:
    """In its evaluation, or before the others have begun; it has the GPU to itself only if that is not enough."""
    real, failed = trial.Distillation.start, list[float]()

    def start(recipe: Any, *given: Any, **more: Any) -> Any:
        if recipe == one.cells[cell].recipe and not failed:
            failed.append(recipe.alpha)
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return real(recipe, *given, **more)

    monkeypatch.setattr(trial.Distillation, "start", start)
    with pytest.raises(outcomes.RestartNeeded):
        work(queue, one)
    assert queue.status().count(State.RUNNING) == 0
    notes = [queue.claim("another") for _ in one.cells]
    assert [claim and list(claim.note) for claim in notes] == [[outcomes.ALONE]] * 4
    for claim in notes:
        assert claim is not None
        claim.release(claim.note)
    work(queue, one)
    assert grouped == []
    assert [(row.state, row.attempts, row.reasons) for row in rows(queue)] == [(State.COMPLETE, 1, ())] * 4


def test_a_storage_that_fails_while_a_group_is_claimed_costs_no_cell(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, grouped: list[int]
) -> None:
    real, calls = type(queue).claim_among, list[int]()

    def claim_among(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise UserError("storage: database or disk is full")
        return real(*given)

    monkeypatch.setattr(type(queue), "claim_among", claim_among)
    work(queue, one)
    assert grouped == [2] * 12
    assert [(row.state, row.attempts, row.reasons) for row in rows(queue)] == [(State.COMPLETE, 1, ())] * 4


@pytest.mark.parametrize(
    ("at", "again"), [(0, LIMITS), (1, agent.Limits(1)), (4, agent.Limits(2)), (4, agent.Limits(3))]
)
def test_asked_to_stop_all_are_saved_and_resume_alone_or_together(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, shutdown: agent.Shutdown, at: int, again: agent.Limits
) -> None:
    def stop(cells: list[Any], taken: int) -> None:
        if taken == at:
            os.kill(os.getpid(), signal.SIGTERM)

    each_step(monkeypatch, stop)
    work(queue, one, shutdown)
    assert [(row.state, row.attempts) for row in rows(queue)] == [(State.WAITING, 0)] * 4
    saved = [Path("runs") / cell.key / "checkpoint" / "distill.safetensors" for cell in one.cells]
    assert all(path.is_file() for path in saved)
    steps: list[list[int]] = []
    each_step(monkeypatch, lambda cells, taken: steps.append([one.state.iteration for one in cells]))
    work(queue, one, limits=again)
    assert steps[:1] == ([[at + 1] * min(4, again.most)] if again.most > 1 else [])
    assert [(row.state, row.attempts) for row in rows(queue)] == [(State.COMPLETE, 1)] * 4
    are_as_alone(one)


def test_cut_off_in_the_middle_of_a_step_all_go_back(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, shutdown: agent.Shutdown
) -> None:
    monkeypatch.setattr("ddsweep.agent.shutdown.SAVE_SECONDS", 0.01)

    def hang(cells: list[Any], taken: int) -> None:
        if taken == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            while True:
                signal.pause()

    each_step(monkeypatch, hang)
    work(queue, one, shutdown)
    assert [(row.state, row.attempts) for row in rows(queue)] == [(State.WAITING, 0)] * 4
    monkeypatch.setattr(lockstep, "advance", advance)
    work(queue, one)
    are_as_alone(one)


def test_a_request_to_stop_after_the_cell_finishes_the_group(
    queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch, shutdown: agent.Shutdown
) -> None:
    each_step(monkeypatch, lambda cells, taken: shutdown.request("drain"))
    work(queue, one, shutdown, limits=agent.Limits(3))
    assert [row.state for row in rows(queue)] == [State.COMPLETE] * 3 + [State.WAITING]


def test_a_cell_whose_lease_is_lost_leaves_and_saves(queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checkpoint is there for the agent that holds it now, which cannot begin before this one has left."""
    claims: list[Any] = []
    real = type(queue).claim_among

    def claim_among(*given: Any) -> Any:
        claims.append(real(*given))
        return claims[-1]

    def lose(cells: list[Any], taken: int) -> None:
        if taken == 2:
            claims[0].lost = True

    monkeypatch.setattr(type(queue), "claim_among", claim_among)
    each_step(monkeypatch, lose)
    sizes: list[int] = []
    monkeypatch.setattr(group, "_end", recorded(sizes, group._end))
    work(queue, one)
    assert sizes[0] == 4 and 3 in sizes
    assert [row.state for row in rows(queue)] == [State.COMPLETE] * 4, "nobody had taken it, so it was released"
    are_as_alone(one)


def recorded(sizes: list[int], real: Callable[[Any], None]) -> Callable[[Any], None]:
    def end(going: Any) -> None:
        sizes.append(len(going))
        real(going)

    return end


def test_a_cell_that_another_process_computes_does_not_keep_the_group_waiting(
    queue: Queue, one: Sweep, grouped: list[int]
) -> None:
    with files.lock(Path("runs/.locks") / f"{one.cells[2].key}.lock"):
        assert hired(queue, one)._work_on_next()
    assert grouped == [3] * 6
    assert [(row.state, row.attempts) for row in rows(queue)] == [
        (State.COMPLETE, 1), (State.COMPLETE, 1), (State.WAITING, 0), (State.COMPLETE, 1)
    ]  # fmt: skip
    work(queue, one)
    assert len(grouped) == 6, "it is not in a group again"
    are_as_alone(one)


def test_the_status_shows_every_cell_of_the_group(queue: Queue, one: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[AgentStatus] = []

    def look(cells: list[Any], taken: int) -> None:
        if taken == 4:
            seen.extend(status.read_all(Path("agents")))

    monkeypatch.setattr(status, "INTERVAL", 0.0)
    each_step(monkeypatch, look)
    work(queue, one)
    titles = [row.point.title for row in rows(queue)]
    assert [(shown["cell"], shown["phase"], shown["total"]) for shown in seen[0].group] == [
        (title, "distill", 6) for title in titles
    ]
    assert [shown["key"] for shown in seen[0].group] == [cell.key for cell in one.cells]
    assert (seen[0].cell, seen[0].phase, seen[0].done) == (titles[0], "distill", 4)
    assert [found.group for found in status.read_all(Path("agents"))] == [[]], "afterwards there is none"


@pytest.mark.parametrize("choices", [{"method": "dc", "outer_loops": 1, "inner_epochs": 1}, {"arch": "convnet3-bn"}])
def test_cells_whose_steps_depend_on_their_images_run_alone(choices: dict[str, Any], grouped: list[int]) -> None:
    one = sweep.load("ablation-alpha", "demo", TINY | {"alpha": [0, 1], "iterations": 1} | choices)
    queue = MemoryStore().sweep(one.full_name)
    points = [Point(cell.key, dict(cell.point), cell.key, cell.recipe.title()) for cell in one.cells]
    queue.register(Definition(one.full_name, points, one.definition(), 2))
    work(queue, one)
    assert grouped == []
    assert [row.state for row in rows(queue)] == [State.COMPLETE] * 2
