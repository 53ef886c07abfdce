"""Points of a search, run by an agent on a queue and by a trial that a W&B agent started."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from ddsweep import agent, trial
from ddsweep.agent import wandb_trial
from ddsweep.agent.gpu_lock import GpuLock
from ddsweep.agent.wandb_trial import TrialPlacement
from ddsweep.backends import Definition, Lease, State
from ddsweep.backends.local import FolderStore
from ddsweep.backends.memory import MemoryStore
from ddsweep.backends.wandb import backend
from ddsweep.checkpoints import Interrupted
from ddsweep.pruning import Pruned, Pruning
from ddsweep.recipe import Recipe
from ddsweep.results.result import Result
from ddsweep.testing.search import EARLY, searched
from ddsweep.trackers.status import AgentStatus, StatusTracker
from tests.agent.test_wandb_trial import RecordingTracker

Trial = Callable[[Recipe, Pruning | None], Result]


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddsweep.agent.worker.IDLE_SECONDS", 0.01)


def replaced(monkeypatch: pytest.MonkeyPatch, outcome: Trial) -> list[Recipe]:
    ran: list[Recipe] = []

    def run(recipe: Recipe, *rest: Any, pruning: Pruning | None = None, **more: Any) -> Result:
        ran.append(recipe)
        return outcome(recipe, pruning)

    monkeypatch.setattr(trial, "run", run)
    return ran


def complete(recipe: Recipe, pruning: Pruning | None) -> Result:
    return Result(recipe, {"convnet3": [0.9 - recipe.alpha / 20000]})


def looked(recipe: Recipe, pruning: Pruning | None) -> Result:
    """Act as a trial: report an accuracy at every step of ``pruning``, and end when it decides to prune."""
    result = complete(recipe, pruning)
    for step in pruning.steps if pruning else ():
        if pruning and not pruning.report(step, (result.accuracy or 0.0) - 0.1):
            raise Pruned(step, (result.accuracy or 0.0) - 0.1)
    return result


def work(**changes: Any) -> list[Any]:
    one = searched(**changes)
    queue = MemoryStore(Lease(1, 60)).sweep(one.full_name)
    queue.register(Definition.of(one))
    tracker = StatusTracker(Path("agents"), AgentStatus(agent.name(), "cpu", one.full_name))
    agent.Agent(queue, one, Path("runs"), "cpu", tracker, agent.Shutdown(), GpuLock("cpu", Path("locks"))).work()
    return queue.status().rows


def test_a_search_is_worked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = replaced(monkeypatch, complete)
    rows = work()
    assert [row.state for row in rows] == [State.COMPLETE] * 5
    assert [recipe.alpha for recipe in ran] == [row.point.params["alpha"] for row in rows]


def test_what_is_pruned_is_an_answer_and_the_baseline_never_is(monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[tuple[float, tuple[int, ...]]] = []

    def outcome(recipe: Recipe, pruning: Pruning | None) -> Result:
        watched.append((recipe.alpha, pruning.steps if pruning else ()))
        return looked(recipe, pruning)

    replaced(monkeypatch, outcome)
    rows = work(run_cap=6, early_terminate=EARLY)
    assert watched[0] == (0.0, ())
    assert {steps for alpha, steps in watched if alpha} == {(25, 50)}
    assert {row.state for row in rows[1:]} == {State.COMPLETE, State.PRUNED}
    assert len(watched) == 7, "each point once"
    pruned = next(row for row in rows if row.state is State.PRUNED)
    assert (pruned.attempts, pruned.value, pruned.reason[:17]) == (1, None, "pruned at step 25")


def test_choices_that_make_no_recipe_fail_for_good_and_close_no_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = replaced(monkeypatch, complete)
    axes = {"ptm_train_epochs": {"min": 5, "max": 30}, "ptm_epoch": {"values": [1, 20]}, "alpha": {"value": 5}}
    extra = {"baseline": {}, "profiles": {"demo": {"ptm_epoch": [1, 20]}}}
    rows = work(axes=axes, run_cap=8, extra=extra)
    failed = [row for row in rows if row.state is State.FAILED]
    assert failed
    assert {(row.attempts, row.reason[:32]) for row in failed} == {(1, "ptm_epoch: 20 is after the last ")}
    assert len(ran) == 8 - len(failed)


class Service(RecordingTracker):
    """A fake W&B tracker: sets whether W&B stops the run, and records how the run ended."""

    def __init__(self, stops: bool) -> None:
        super().__init__()
        self.stops = stops

    def stopped(self) -> bool:
        return self.stops

    def prune(self, reason: str) -> None:
        self.ended.append(reason)


def dealt(monkeypatch: pytest.MonkeyPatch, outcome: Trial, stops: bool = False) -> tuple[int, Service, FolderStore]:
    """Run a point that W&B sampled, as ``ddsweep trial`` does."""
    one, told, folder = searched(early_terminate=EARLY), Service(stops), FolderStore(Path("runs"))
    folder.remember(backend.wandb_definition(one))
    replaced(monkeypatch, outcome)
    recipe = one.recipe({"alpha": 12.34})
    code = wandb_trial.main(recipe, TrialPlacement(one.full_name, Path("runs"), "cpu"), cast("Any", told))
    return code, told, folder


def test_what_w_and_b_drew_is_known_in_this_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, folder = dealt(monkeypatch, complete)
    definition = folder.load_definition("search@demo")
    assert [point.params for point in definition.points] == [{"alpha": 12.34}]
    status = folder.sweep("search@demo").status()
    assert (len(status.rows), status.to_draw, status.size) == (1, 3, 4)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_w_and_b_stops_on_its_way_is_pruned(monkeypatch: pytest.MonkeyPatch, signum: signal.Signals) -> None:
    def outcome(recipe: Recipe, pruning: Pruning | None) -> Result:
        assert pruning is not None
        assert pruning.steps == (25, 50, 75), "all up to the one after the last band: W&B counts from 0"
        assert pruning.report(25, 0.5), "it is W&B that stops"
        if signum == signal.SIGINT:
            raise KeyboardInterrupt
        os.kill(os.getpid(), signum)
        raise Interrupted

    code, told, folder = dealt(monkeypatch, outcome, stops=True)
    assert (code, told.ended) == (0, ["pruned at step 25 with accuracy 50.0 %"])
    row = folder.sweep("search@demo").status().rows[0]
    assert (row.state, row.reason) == (State.PRUNED, "pruned at step 25 with accuracy 50.0 %")


def test_a_run_that_somebody_else_ends_is_left_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome(recipe: Recipe, pruning: Pruning | None) -> Result:
        assert pruning is not None and pruning.report(25, 0.5)
        raise Interrupted

    code, told, folder = dealt(monkeypatch, outcome, stops=False)
    assert (code, told.ended) == (128 + signal.SIGTERM, ["left"])
    assert folder.sweep("search@demo").status().rows[0].state is State.WAITING
