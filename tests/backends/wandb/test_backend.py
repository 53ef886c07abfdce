"""The W&B backend against the stand-in, with the real client: the contract, and what W&B does otherwise."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import wandb
from wandb.apis.public.sweeps import _agent_heartbeat, _register_agent

from ddsweep import sweep
from ddsweep.backends import Backend, Definition, Registered, State
from ddsweep.backends.wandb.backend import WandbBackend, WandbStore
from ddsweep.errors import UserError
from ddsweep.sweep import wandb as configurations
from ddsweep.testing.backend import (
    NAME,
    BackendContract,
    Body,
    Grid,
    Worker,
    faulty,
    half,
    in_threads,
    recording,
    states,
)
from ddsweep.testing.search import searched
from tests.standin import ENTITY, KEY, Standin
from tests.standin.state import Run
from tests.standin.sweeps import Sweep

_numbers = itertools.count()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Standin, dict[str, str]]]:
    """One server for all tests, which have a project each: W&B's client keeps the first server it sees."""
    with Standin() as server:
        yield server, server.environment(tmp_path_factory.mktemp("wandb"))
        wandb.teardown()
        assert server.unhandled == []


@pytest.fixture
def server(service: tuple[Standin, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> Standin:
    for name, value in service[1].items():
        monkeypatch.setenv(name, value)
    return service[0]


@pytest.fixture
def store(server: Standin) -> WandbStore:
    return WandbStore(f"project{next(_numbers)}")


@pytest.fixture
def backend(store: WandbStore) -> WandbBackend:
    return store.sweep(NAME)


def definition(*alphas: float, name: str = NAME, scale: int = 1, max_attempts: int = 3) -> Definition:
    """A real sweep: W&B keeps parameters of Recipes, and nothing else of a point."""
    one = sweep.load("ablation-alpha", "demo", {"alpha": list(alphas), "width": 4 * scale})
    stem, _, profile = name.partition("@")
    return Definition.of(dataclasses.replace(one, name=stem, profile=profile, max_attempts=max_attempts))


def work(backend: Backend, body: Body, agents: int = 1, limit: int | None = None) -> None:
    """Does points as ``wandb agent`` does: the same requests; a real run for each, in this process."""
    path = cast(WandbBackend, backend).path
    entity, project, identifier = path.split("/")
    api = wandb.Api()

    def agent(host: str) -> None:
        me = _register_agent(api, host, sweep_id=identifier, project=project, entity=entity)["id"]
        done = 0
        while done != limit:
            for command in _agent_heartbeat(api, me, {}, {}):
                if command["type"] == "exit":
                    return
                given = {name: entry["value"] for name, entry in command["args"].items()}
                report(path, command["run_id"], given, body)
                done += 1

    in_threads(agent, agents)


class Stopped(RuntimeError):
    """W&B has ended a run on its way, and the trial says so."""


def report(path: str, run_id: str, given: dict[str, Any], body: Body) -> None:
    """One trial as W&B sees it."""
    entity, project, identifier = path.split("/")
    settings = wandb.Settings(sweep_id=identifier, run_id=run_id, reinit="create_new", silent=True)
    run = wandb.init(project=project, entity=entity, config=given, settings=settings)
    try:
        run.summary["accuracy"] = body(float(configurations.choices(given)["alpha"]))
        run.finish(0)
    except Stopped as reason:
        run.summary.update({"accuracy": 0.5, "state": "pruned", "reason": str(reason)})
        run.finish(0)
    except RuntimeError as error:
        run.summary["reason"] = f"RuntimeError: {error}"
        run.finish(1)


class TestWandb(BackendContract):
    """Nothing is overridden: what W&B lacks (leases, retries, releasing) is ``contract.QueueContract``'s, not this."""

    @pytest.fixture
    def grid(self) -> Grid:
        return definition

    @pytest.fixture
    def worker(self) -> Worker:
        return work


def configuration(server: Standin, backend: WandbBackend) -> dict[str, Any]:
    return server.sweeps[backend.path.split("/")[-1]].config


def test_another_machine_finds_the_sweep(server: Standin, store: WandbStore, backend: WandbBackend) -> None:
    backend.register(definition(0, 1))
    other = WandbStore(store.service.project, ENTITY).sweep(NAME)
    assert other.register(definition(0, 1)) == Registered(added=0, kept=2, withdrawn=0)
    assert other.path == backend.path
    assert other.url == f"{server.url}/{ENTITY}/{store.service.project}/sweeps/{backend.path.split('/')[-1]}"
    assert (other.changes(), other.notices()) == ([], [])


def test_a_changed_sweep_says_what_changed_and_runs_only_what_is_left(server: Standin, backend: WandbBackend) -> None:
    backend.register(definition(0, 1, 10))
    first = backend.path
    work(backend, half, limit=1)
    backend.register(definition(0, 1, 100))
    assert backend.changes() == ["alpha: 0, 1, 10 → 0, 1, 100"]
    old, new = first.split("/")[-1], backend.path.split("/")[-1]
    assert backend.notices() == [f"W&B sweep {old} is stopped; with 2 cells left, it continues as {new}"]
    assert (server.sweeps[old].state, server.sweeps[new].state) == ("FINISHED", "PENDING")
    assert configuration(server, backend)["parameters"]["cell"]["values"] == ["alpha=1.0", "alpha=100.0"]
    dealt: list[float] = []
    work(backend, recording(dealt, 0.75))
    assert dealt == [1, 100]
    assert [row.value for row in backend.status().rows] == [0.5, 0.75, 0.75]


def test_launching_again_gives_failed_points_another_attempt(server: Standin, backend: WandbBackend) -> None:
    """W&B never repeats a point of a grid, so what failed becomes a sweep of its own."""
    backend.register(definition(0, 1, 2))
    work(backend, faulty)
    assert backend.status().rows[1].reason == "RuntimeError: loss is nan"
    assert backend.register(definition(0, 1, 2)) == Registered(added=0, kept=3, withdrawn=0)
    assert "with 1 cell left" in backend.notices()[0]
    assert states(backend)[1] == (1, State.WAITING)
    work(backend, lambda alpha: 0.75)
    row = backend.status().rows[1]
    assert (row.state, row.attempts, row.value, row.reasons) == ("complete", 2, 0.75, ("RuntimeError: loss is nan",))


def test_a_paused_sweep_is_continued_and_says_so(server: Standin, backend: WandbBackend) -> None:
    backend.register(definition(0, 1))
    path = backend.path
    server.sweeps[path.split("/")[-1]].state = "PAUSED"
    backend.register(definition(0, 1))
    assert backend.path == path
    assert backend.notices() == [f"paused on W&B: agents wait until you resume it (wandb sweep --resume {path})"]


def test_what_a_cancelled_sweep_leaves_goes_on_in_a_new_one(server: Standin, backend: WandbBackend) -> None:
    backend.register(definition(0, 1))
    work(backend, half, limit=1)
    old = backend.path.split("/")[-1]
    server.sweeps[old].state = "CANCELED"
    assert states(backend) == [(0, State.COMPLETE), (1, State.WAITING)]
    backend.register(definition(0, 1))
    assert backend.notices()[0].startswith(f"W&B sweep {old} is canceled; with 1 cell left")
    work(backend, half)
    assert backend.drained()


def test_a_run_that_lives_is_neither_repeated_nor_lost(server: Standin, backend: WandbBackend) -> None:
    backend.register(definition(0, 1))
    work(backend, half, limit=1)
    run = next(run for run in server.runs.values() if run.sweep == backend.path.split("/")[-1])
    run.state = "running"
    assert backend.register(definition(0)) == Registered(added=0, kept=1, withdrawn=0, earlier=1), "its agent is alive"
    assert states(backend) == [(0, State.RUNNING), (1, State.WAITING)]
    row = backend.status().rows[0]
    assert (row.state, row.finished, row.value) == ("running", None, None)
    run.state = "finished"
    assert backend.register(definition(0)) == Registered(added=0, kept=1, withdrawn=1), "nobody will run the other"
    assert backend.drained()


@pytest.mark.parametrize(
    ("state", "reason"),
    [("crashed", "lost: its run sent no heartbeat to W&B for minutes"), ("killed", "stopped on W&B"),
     ("failed", "failed; see the log of its run on W&B"), ("odd", "state on W&B: odd")],
)  # fmt: skip
def test_how_runs_end_without_a_word(server: Standin, backend: WandbBackend, state: str, reason: str) -> None:
    backend.register(definition(0))
    work(backend, half)
    run = next(run for run in server.runs.values() if run.sweep == backend.path.split("/")[-1])
    run.state = state
    row = backend.status().rows[0]
    assert (row.state, row.reason, row.value) == (State.FAILED, reason, None)
    run.state, run.streams = "finished", {}
    assert backend.status().rows[0].reason == "its run ended without a result"


def test_status_costs_two_requests_however_many_runs_there_are(server: Standin, backend: WandbBackend) -> None:
    backend.register(definition(*range(5)))
    work(backend, half, agents=2)
    backend.status()
    before = server.operations.copy()
    assert backend.status().drained
    assert server.operations - before == {"GetSweeps": 1, "Runs": 1}


def test_sweeps_and_runs_of_others_do_no_harm(server: Standin, store: WandbStore, backend: WandbBackend) -> None:
    assert store.names() == []
    store.service.create(f"method: grid\nname: {NAME}\nparameters: {{x: {{values: [1, 2]}}}}")
    assert store.names() == []
    backend.register(definition(0))
    report(backend.path, "foreign0", {"alpha": 0.0, "method": "dm"}, half)  # another cell, under our sweep
    assert states(backend) == [(0, State.WAITING)]


def test_a_server_that_does_not_answer_is_one_line(server: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddsweep.backends.wandb.client.TIMEOUT", 1)
    server.fail("GetSweeps", 500, times=9)
    try:
        with pytest.raises(UserError, match=f"^wandb: {server.url} does not answer$"):
            WandbStore("p").names()
    finally:
        server.mend()


def test_a_service_that_goes_away_costs_a_warning(
    server: Standin, backend: WandbBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.register(definition(0, 1))
    known = backend.status()
    server.fail("GetSweeps", 403, times=2)
    with caplog.at_level(logging.WARNING):
        assert backend.status() == known
    assert "no permission" in caplog.text
    with pytest.raises(UserError, match="wandb: no permission"):
        WandbStore(backend.path.split("/")[1]).sweep(NAME).status()


def test_nothing_is_printed(server: Standin, capfd: pytest.CaptureFixture[str], backend: WandbBackend) -> None:
    backend.register(definition(0))
    backend.status()
    assert capfd.readouterr() == ("", "")


ASK = """
import json, os, sys, wandb
from ddsweep.backends.wandb.backend import WandbStore
from ddsweep.errors import UserError
before = dict(os.environ)
for changes, entity in json.loads(sys.argv[1]):
    os.environ.clear()
    os.environ.update({name: value for name, value in {**before, **changes}.items() if value is not None})
    store = WandbStore("p", entity)
    why = store.available()
    try:
        store.names()
    except UserError as error:
        print(json.dumps([why, str(error)]))
    wandb.teardown()  # the client reads its settings once
"""
REASONS: list[tuple[dict[str, str | None], str]] = [
    ({"WANDB_API_KEY": None}, "wandb: not logged in; run: wandb login"),
    ({"WANDB_API_KEY": "e" * 40}, "wandb: the API key is rejected; run: wandb login --relogin"),
    ({"WANDB_API_KEY": "short"}, "wandb: the API key is malformed; run: wandb login --relogin"),
    ({"WANDB_MODE": "offline"}, "WANDB_MODE: is offline, but --backend wandb needs online"),
    ({"WANDB_BASE_URL": "http://127.0.0.1:9"}, "wandb: cannot reach http://127.0.0.1:9"),
]


@pytest.mark.slow
def test_why_wandb_cannot_be_used_is_one_line_without_the_key(server: Standin) -> None:
    cases = json.dumps([*((changes, "") for changes, _ in REASONS), ({}, "somebody")])
    command = [sys.executable, "-c", ASK, cases]
    answer = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    said = [json.loads(line) for line in answer.stdout.splitlines()]
    assert said == [*([line, line] for _, line in REASONS), ["", "wandb: no permission for somebody/p"]]
    assert answer.stderr == ""
    assert not any(key in answer.stdout for key in (KEY, "e" * 40, "short"))


def search(run_cap: int = 4, method: str = "random", high: int = 100) -> Definition:
    """A search that W&B draws; α is all that it varies."""
    alpha = {"distribution": "log_uniform_values", "min": 1, "max": high}
    return Definition.of(searched(axes={"alpha": alpha}, method=method, run_cap=run_cap))


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_w_and_b_draws_the_points_of_a_search(server: Standin, store: WandbStore, method: str) -> None:
    backend = store.sweep("search@demo")
    assert backend.register(search(method=method)) == Registered(added=4, kept=0, withdrawn=0)
    assert backend.notices() == [
        "W&B samples from the ranges only; run the baseline with: ddsweep run search@demo alpha=0"
    ]
    assert (configuration(server, backend)["method"], configuration(server, backend)["run_cap"]) == (method, 4)
    before = backend.status()
    assert (before.rows, before.to_draw, backend.drained()) == ([], 4, False)
    drawn: list[float] = []
    work(backend, recording(drawn, 0.5))
    assert len(set(drawn)) == 4
    assert all(1 <= alpha <= 100 for alpha in drawn)
    rows = backend.status().rows
    assert [row.point.params for row in rows] == [{"alpha": alpha} for alpha in drawn]
    assert {row.state for row in rows} == {State.COMPLETE}
    assert backend.drained()
    assert store.load_definition("search@demo").size == 4


def test_a_larger_cap_is_a_new_sweep_of_what_is_left(server: Standin, store: WandbStore) -> None:
    backend = store.sweep("search@demo")
    backend.register(search(run_cap=2))
    work(backend, half)
    path = backend.path
    assert backend.register(search(run_cap=2)).added == 0
    assert backend.path == path
    assert backend.register(search(run_cap=5)) == Registered(added=3, kept=2, withdrawn=0)
    assert backend.changes() == []
    assert configuration(server, backend)["run_cap"] == 3
    assert "with 3 cells left, it continues as" in backend.notices()[-1]
    assert (len(backend.status().rows), backend.status().to_draw) == (2, 3)


def test_other_ranges_are_another_search_beside_the_first(server: Standin, store: WandbStore) -> None:
    backend = store.sweep("search@demo")
    backend.register(search(run_cap=2))
    work(backend, half)
    first = backend.status().rows
    assert backend.register(search(run_cap=2, high=50)) == Registered(added=2, kept=0, withdrawn=0, earlier=2)
    assert backend.changes() == ["alpha: 1 … 100 (log) → 1 … 50 (log)"]
    assert (backend.status().rows, backend.status().to_draw) == (first, 2)
    path = backend.path
    assert backend.register(search(run_cap=2, high=50)) == Registered(added=0, kept=0, withdrawn=0, earlier=2)
    assert backend.path == path
    work(backend, half)
    assert [row.value for row in backend.status().rows] == [0.5] * 4
    assert backend.drained()
    assert {point.key for point in store.load_definition("search@demo").points} == {row.point.key for row in first}
    assert backend.register(search(run_cap=2, high=50), alone=True).finished == 2
    assert len(backend.status().rows) == 2


def test_a_grid_after_a_search_keeps_what_was_found(store: WandbStore) -> None:
    backend = store.sweep("search@demo")
    backend.register(search(run_cap=2))
    work(backend, half)
    found = backend.status().rows
    grid = definition(0, 5, name="search@demo")
    assert backend.register(grid) == Registered(added=2, kept=0, withdrawn=0, earlier=2)
    dealt: list[float] = []
    work(backend, recording(dealt, 0.25))
    assert dealt == [0, 5]
    rows = {row.point.key: row.value for row in backend.status().rows}
    assert rows == {**{row.point.key: 0.5 for row in found}, **{point.key: 0.25 for point in grid.points}}


def test_a_run_that_was_stopped_on_its_way_is_pruned(store: WandbStore) -> None:
    backend = store.sweep("search@demo")
    backend.register(search(run_cap=1))

    def stopped(alpha: float) -> float:
        raise Stopped("pruned at step 25 with accuracy 50.0 %")

    work(backend, stopped)
    (row,) = backend.status().rows
    assert (row.state, row.value, row.reason) == (State.PRUNED, None, "pruned at step 25 with accuracy 50.0 %")
    assert backend.drained()


def test_the_stand_in_stops_runs_as_w_and_b_says() -> None:
    """Its published example: b is worse than half at the first band, c passes that one and not the second."""
    rule = {"type": "hyperband", "max_iter": 5, "eta": 2, "s": 2}
    server = Standin()
    one = Sweep("e", "p", json.dumps({"method": "random", "run_cap": 5, "early_terminate": rule, "parameters": {}}))
    for name, losses in {"a": [10, 9], "b": [10, 10], "c": [10, 8, 8], "d": [10, 7, 7], "e": [10, 6, 6]}.items():
        run = Run(name, "p", "e", state="running" if name in "bcd" else "finished")
        run.receive("wandb-history.jsonl", 0, [json.dumps({"accuracy": -loss}) for loss in losses])
        server.state.runs[name] = run
        one.runs.append(name)
    assert one.to_stop(server.state) == ["b", "c"]
