"""Cells that were given up: said by every command, with one that retries them and works as typed."""

from __future__ import annotations

import json
import math
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ddsweep import trial
from ddsweep.backends import Queue, State, connect, rules
from ddsweep.backends.optuna.backend import OptunaStore
from ddsweep.errors import PluginError
from ddsweep.recipe import Recipe
from ddsweep.results.result import Result
from tests.cli.conftest import Run

NAME = "ablation-alpha@demo"
PLACE = ["--runs", "elsewhere", "--storage", "sqlite:///queue.db"]
Outcome = Callable[[Recipe], Result]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddsweep.agent.worker.IDLE_SECONDS", 0.01)
    monkeypatch.setattr("ddsweep.agent.worker.RECONCILE_SECONDS", 0.0)


@pytest.fixture
def launch(tiny: list[str]) -> list[str]:
    return ["launch", NAME, "--set", "alpha=0,1,10", *tiny, "--workers", "0", "-d", "cpu", *PLACE]


def queue() -> Queue:
    return connect(Path("queue.db")).sweep(NAME)


def good(recipe: Recipe) -> Result:
    return Result(recipe, {"convnet3": [0.5]})


def bad(recipe: Recipe) -> Result:
    """One cell fails, and one diverges."""
    if recipe.alpha == 1:
        raise OSError("no such disk")
    return Result(recipe, state="failed", reason="the loss is nan") if recipe.alpha == 10 else good(recipe)


def trials(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> None:
    def run(recipe: Recipe, tracker: Any, device: str, runs: Path, *rest: Any, **more: Any) -> Result:
        result = outcome(recipe)
        result.write(runs / recipe.key())
        return result

    monkeypatch.setattr(trial, "run", run)


def command(text: str) -> list[str]:
    """The words after ``ddsweep`` of the command that retries."""
    (line,) = [line for line in text.splitlines() if "to retry, type:" in line]
    program, *words = shlex.split(line.partition("type:")[2])
    assert program == "ddsweep"
    return words


@pytest.mark.parametrize("ask", ["launch", "launch again", "status"])
def test_what_is_said_can_be_typed(ddsweep: Run, launch: list[str], monkeypatch: pytest.MonkeyPatch, ask: str) -> None:
    trials(monkeypatch, bad)
    said = ddsweep(*launch)
    assert said.exit_code == 1
    before = queue().status()
    if ask == "launch again":
        said = ddsweep(*launch)
        assert said.exit_code == 1
        assert queue().status() == before, "nothing is retried without being asked for"
    if ask == "status":
        said = ddsweep("status", NAME, *PLACE)
    text = " ".join(said.stdout.split())
    assert "dm · ipc" in text and "OSError: no such disk" in text
    assert "given up: 1 cell; to retry, type:" in text
    assert "failed for good: 1 cell; it is not retried, because it would fail the same way again" in text
    trials(monkeypatch, good)
    again = ddsweep(*command(said.stdout), *(["--workers", "0", "-d", "cpu"] if ask == "status" else []))
    assert "retrying 1 cell that had been given up" in again.stdout, again.output
    first, second, third = queue().status().rows
    assert [row.state for row in (first, second, third)] == [State.COMPLETE, State.COMPLETE, State.FAILED]
    assert (second.attempts, third.attempts) == (4, 1), "the diverged cell was left alone"
    assert "to retry" not in again.stdout


def test_every_retry_has_all_its_attempts(ddsweep: Run, launch: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    trials(monkeypatch, bad)
    for attempts in (3, 6, 9):
        said = ddsweep(*launch, *(["--retry-failed"] if attempts > 3 else []))
        assert command(said.stdout)[-1] == "--retry-failed"
        assert queue().status().rows[1].attempts == attempts


def kill_agents(times: int) -> None:
    """Complete all cells but the first, and lose the agents that claim that one, without waiting for their leases."""
    store = connect(Path("queue.db"))
    backend = store.sweep(NAME)
    for number in range(times):
        claim = backend.claim(f"node{number}:17")
        assert claim is not None and claim.point.params["alpha"] == 0
        while not number and (other := backend.claim("other:1")) is not None:
            other.complete(0.5)
        silence(store, 3600)
        backend.reconcile()
    store.close()


def silence(store: OptunaStore, seconds: int) -> None:
    """Make the last heartbeat of every agent as old as that."""
    store.database.last_outage = -math.inf  # a busy machine is no outage
    with store.database.transaction() as session:
        session.execute(sa.text(f"UPDATE trial_heartbeats SET heartbeat = datetime('now', '-{seconds} seconds')"))


def test_a_cell_that_kills_its_agents_is_said_to_do_so(
    ddsweep: Run, launch: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trials(monkeypatch, good)
    with monkeypatch.context() as idle:
        idle.setattr("ddsweep.launchers.inline.InlineLauncher.start", lambda self: None)
        ddsweep(*launch)
    kill_agents(rules.MAX_LOSSES)
    for said in (ddsweep(*launch), ddsweep("status", NAME, *PLACE)):
        text = " ".join(said.stdout.split())
        assert "its agent was killed 10 times without a new checkpoint in between (last on node9 at " in text
        assert "attempt)" not in text and "attempts)" not in text
        assert "given up: 1 cell; to retry, type: ddsweep " in text
    cells = json.loads(ddsweep("status", NAME, *PLACE, "--json").stdout)[0]["cells"]
    assert [(cell["attempts"], cell["lost"], cell["final"]) for cell in cells] == [
        (0, 10, False),
        (1, 0, False),
        (1, 0, False),
    ]
    again = ddsweep(*command(ddsweep(*launch).stdout))
    assert again.exit_code == 0, again.output


def test_whose_lease_is_waited_for_is_said(ddsweep: Run, launch: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent on another host that is silent; how long it keeps its cell is told in UTC."""
    trials(monkeypatch, good)
    with monkeypatch.context() as idle:
        idle.setattr("ddsweep.launchers.inline.InlineLauncher.start", lambda self: None)
        ddsweep(*launch)
    store = connect(Path("queue.db"))
    assert store.sweep(NAME).claim("node7:4711") is not None
    said = " ".join(ddsweep("status", NAME, *PLACE).stdout.split())
    assert "waiting for the lease" not in said, "it was heard just now"
    silence(store, 70)
    store.close()
    said = " ".join(ddsweep("status", NAME, *PLACE).stdout.split())
    assert "waiting for the lease of node7:4711 on dm · ipc" in said
    assert "no heartbeat for 1 min" in said and " UTC" in said


def test_a_dead_agent_of_this_host_is_not_waited_for(
    ddsweep: Run, launch: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default lease is three minutes; the next launch takes the cell at once."""
    trials(monkeypatch, good)
    with monkeypatch.context() as idle:
        idle.setattr("ddsweep.launchers.inline.InlineLauncher.start", lambda self: None)
        ddsweep(*launch)
    code = "import os; from ddsweep.backends import connect"
    code += f"; claim = connect('queue.db').sweep({NAME!r}).claim('me:1'); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    launched = ddsweep(*launch)
    assert launched.exit_code == 0, launched.output
    assert [(row.attempts, row.lost) for row in queue().status().rows] == [(1, 1), (1, 0), (1, 0)]


def test_a_storage_in_the_environment_is_found_there_again(
    ddsweep: Run, launch: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDSWEEP_STORAGE", "sqlite:///queue.db")
    trials(monkeypatch, bad)
    words: list[Any] = launch[:-2]
    said = ddsweep(*words)
    assert command(said.stdout) == [*words, "--retry-failed"]


def test_cells_whose_attempts_have_failed_are_told_before_they_are_given_up(
    ddsweep: Run, launch: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three different cells an agent ends; none of them has used up its attempts."""

    def broken(recipe: Recipe) -> Result:
        raise OSError(f"no disk for alpha {recipe.alpha:g}")

    trials(monkeypatch, broken)
    said = ddsweep(*launch)
    assert said.exit_code == 1
    assert [row.state for row in queue().status().rows] == [State.WAITING] * 3
    assert "done 0/3   running 0   failed 0   failed, to be retried 3" in said.stdout
    for title, alpha in (("dm · ipc 5 · baseline", 0), ("α 1 ·", 1), ("α 10 ·", 10)):
        line = rf"failed  .*{title}.*: OSError: no disk for alpha {alpha} \(1 attempt\); waits for another attempt"
        assert re.search(line, said.stdout), said.stdout
    status = " ".join(ddsweep("status", NAME, *PLACE).stdout.split())
    assert "failed 0 failed, to be retried 3" in status
    assert all(f"OSError: no disk for alpha {alpha}" in status for alpha in (0, 1, 10))


def test_failures_of_a_plugin_do_not_close_a_device(
    ddsweep: Run, launch: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake that would be made again ends its cell at once, other errors after three attempts; the rest runs."""

    def broken(recipe: Recipe) -> Result:
        if recipe.alpha == 10:
            return good(recipe)
        line = "method 'mine': TypeError: not a number (mine.py line 12)"
        raise PluginError(line, final=recipe.alpha == 1)

    trials(monkeypatch, broken)
    said = ddsweep(*launch)
    rows = queue().status().rows
    assert [(row.state, row.attempts, row.final) for row in rows] == [
        (State.FAILED, 3, False), (State.FAILED, 1, True), (State.COMPLETE, 1, False),
    ]  # fmt: skip
    assert all(row.reason == "method 'mine': TypeError: not a number (mine.py line 12)" for row in rows[:2])
    assert "done 1/3   running 0   failed 2" in said.stdout
    assert "closed" not in said.stdout
