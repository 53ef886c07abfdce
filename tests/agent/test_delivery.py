"""Delivery: a result is stored for all hosts before its cell is complete; otherwise the cell returns to the queue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ddsweep import agent, sweep, trial
from ddsweep.agent.gpu_lock import GpuLock
from ddsweep.backends import Definition, State
from ddsweep.backends.claim import Claim
from ddsweep.backends.memory import MemoryBackend, MemoryClaim, MemoryStore
from ddsweep.cli import session
from ddsweep.errors import UserError
from ddsweep.recipe import Recipe
from ddsweep.results import transfer
from ddsweep.results.result import Result
from ddsweep.sweep import Sweep
from ddsweep.trackers.status import AgentStatus, StatusTracker


@pytest.fixture
def one() -> Sweep:
    return sweep.load("ablation-alpha", "demo", {"alpha": [0, 1]})


@pytest.fixture
def store(one: Sweep) -> MemoryStore:
    store = MemoryStore()
    definition: Definition = session.definition(one)
    store.sweep(one.full_name).register(definition)
    return store


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the computed recipes; the fake trial returns an existing result uncomputed, as ``trial`` does."""
    computed: list[str] = []

    def run(recipe: Recipe, tracker: Any, on: str, runs: Path, *rest: Any, **more: Any) -> Result:
        from ddsweep.results import result as results

        folder = runs / recipe.key()
        if (finished := results.read(folder)) is not None:
            return finished
        computed.append(recipe.key())
        state: Any = "failed" if recipe.alpha else "complete"
        found = Result(recipe, {} if recipe.alpha else {"convnet3": [0.5]}, state=state, reason="the loss is nan")
        found.write(folder)
        return found

    monkeypatch.setattr(trial, "run", run)
    monkeypatch.setattr("ddsweep.agent.worker.IDLE_SECONDS", 0.01)
    return computed


def work(store: MemoryStore, one: Sweep, host: str) -> MemoryBackend:
    backend, tracker = (
        store.sweep(one.full_name),
        StatusTracker(Path("agents"), AgentStatus(host, "cpu", one.full_name)),
    )
    agent.Agent(backend, one, Path(host), "cpu", tracker, gpu_lock=GpuLock("cpu", Path("locks")), store=store).work()
    return backend


def test_findings_of_both_kinds_are_with_everybody(store: MemoryStore, one: Sweep, ran: list[str]) -> None:
    backend = work(store, one, "red")
    keys = [cell.key for cell in one.cells]
    assert store.kept(keys) == set(keys)
    assert {row.state for row in backend.status().rows} == {State.COMPLETE, State.FAILED}
    assert transfer.bring(store, keys, Path("blue")) == {}
    assert transfer.absent(keys, Path("blue")) == []


def test_nothing_is_complete_before_it_is_kept(
    store: MemoryStore, one: Sweep, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Claim.complete

    def complete(claim: Claim, *arguments: Any) -> bool:
        assert store.kept([claim.point.key])
        assert not claim.lost
        return real(claim, *arguments)

    monkeypatch.setattr(Claim, "complete", complete)
    assert work(store, one, "red").status().count(State.COMPLETE) == 1


def test_what_cannot_be_kept_goes_back_unspent_and_is_not_computed_again(
    store: MemoryStore, one: Sweep, ran: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, troubles = MemoryClaim.keep, iter([UserError("storage db: the server is gone")] * 2)

    def keep(claim: MemoryClaim, contents: Mapping[str, bytes]) -> bool:
        if (trouble := next(troubles, None)) is not None:
            raise trouble
        return real(claim, contents)

    monkeypatch.setattr(MemoryClaim, "keep", keep)
    rows = work(store, one, "red").status().rows
    assert [row.attempts for row in rows] == [1, 1]
    assert caplog.text.count("goes back to the queue") == 2
    assert sorted(ran) == sorted(cell.key for cell in one.cells)


def test_what_another_host_has_computed_is_fetched(store: MemoryStore, one: Sweep, ran: list[str]) -> None:
    work(store, one, "red")
    store.sweeps.clear()
    backend = store.sweep(one.full_name)
    backend.register(session.definition(one))
    work(store, one, "blue")
    assert len(ran) == len(one.cells)
    assert backend.status().rows[0].value == 0.5
