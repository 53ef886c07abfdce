"""What a runs folder knows of sweeps that W&B deals, without asking anybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ddsweep import files, sweep
from ddsweep.backends import Definition, Registered, State, connect
from ddsweep.backends.local import FolderStore, Library
from ddsweep.backends.optuna.backend import OptunaStore
from ddsweep.errors import UserError
from ddsweep.results.result import Result
from ddsweep.sweep import Sweep
from ddsweep.trackers import status as agents
from ddsweep.trackers.status import AgentStatus, StatusTracker

RUNS = Path("runs")


@pytest.fixture
def one() -> Sweep:
    return sweep.load("ablation-alpha", "demo", {"alpha": [0, 1, 10]})


@pytest.fixture
def store(one: Sweep) -> FolderStore:
    store = FolderStore(RUNS)
    store.remember(Definition.of(one))
    return store


def test_run_folders_and_agents_say_how_far_it_is(store: FolderStore, one: Sweep) -> None:
    first, second, third = one.cells
    Result(first.recipe, {"convnet3": [0.5, 0.7]}, device="cpu").write(RUNS / first.key)
    Result(second.recipe, state="failed", reason="the loss is nan").write(RUNS / second.key)
    tracker = StatusTracker(agents.folder(RUNS, one.full_name), AgentStatus("host:7", "cpu", one.full_name))
    tracker.start(third.recipe)
    backend = store.sweep(one.full_name)
    rows = backend.status().rows
    assert [row.state for row in rows] == [State.COMPLETE, State.FAILED, State.RUNNING]
    assert (rows[0].value, rows[0].attributes["device"]) == (pytest.approx(0.6), "cpu")
    assert (rows[1].reason, rows[2].agent) == ("the loss is nan", "host:7")
    assert not backend.drained()
    tracker.close()
    assert backend.status().rows[2].state is State.WAITING


def test_a_damaged_result_is_left_to_the_trial_that_meets_it(store: FolderStore, one: Sweep) -> None:
    files.write_text(RUNS / one.cells[0].key / "result.json", "{}")
    assert store.sweep(one.full_name).status().count(State.WAITING) == 3


def test_registered_again_it_keeps_what_has_a_result(store: FolderStore, one: Sweep) -> None:
    done = one.cells[1]
    Result(done.recipe, {"convnet3": [0.5, 0.7]}, device="cpu").write(RUNS / done.key)
    fewer, backend = sweep.load("ablation-alpha", "demo", {"alpha": [0, 500]}), store.sweep(one.full_name)
    assert backend.register(Definition.of(fewer)) == Registered(added=1, kept=1, withdrawn=1, earlier=1)
    known = store.load_definition(one.full_name)
    assert [point.params["alpha"] for point in known.points] == [0.0, 500.0, 1.0]
    assert backend.register(Definition.of(fewer), alone=True) == Registered(added=0, kept=2, withdrawn=0, finished=1)
    assert store.load_definition(one.full_name) == Definition.of(fewer)
    store.forget(one.full_name)
    store.forget(one.full_name)
    assert store.names() == []


def test_what_was_never_launched_names_what_was(store: FolderStore) -> None:
    with pytest.raises(UserError, match="ablation-alpha@demo"):
        store.sweep("ablation-alpha@dem").status()


@pytest.fixture
def storage() -> Iterator[OptunaStore]:
    RUNS.mkdir(exist_ok=True)
    one = connect(RUNS / "ddsweep.db")
    yield one
    one.close()


def test_a_library_has_both(store: FolderStore, storage: OptunaStore, one: Sweep) -> None:
    other = sweep.load("ablation-epoch", "demo")
    storage.sweep(other.full_name).register(Definition.of(other))
    storage.sweep(one.full_name).register(Definition.of(sweep.load("ablation-alpha", "demo", {"alpha": [7]})))
    both = Library(store, storage)
    assert both.names() == [one.full_name, other.full_name]
    assert both.load_definition(one.full_name) == Definition.of(one)
    assert len(both.sweep(other.full_name).status().rows) == len(other.cells)
    with pytest.raises(UserError, match="did you mean ablation-epoch@demo"):
        both.load_definition("ablation-epoc@demo")
