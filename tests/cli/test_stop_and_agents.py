"""Attaching agents to a launched sweep, stopping them, and watching those of all hosts."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ddsweep import agent, trial
from ddsweep.backends import Queue, State, connect
from ddsweep.results.result import Result
from ddsweep.trackers.status import AgentStatus, CellStatus
from tests.cli.conftest import Run

NAME = "ablation-alpha@demo"
HERE = ["--workers", "0", "-d", "cpu"]


@pytest.fixture
def launch(ddsweep: Run, tiny: list[str]) -> list[str]:
    return ["launch", NAME, "--set", "alpha=0,1,10", *tiny, *HERE]


def queue() -> Queue:
    return connect(Path("runs/ddsweep.db")).sweep(NAME)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials take no time here, and are nothing but their accuracy."""
    monkeypatch.setattr(trial, "run", lambda recipe, *rest, **more: Result(recipe, {"convnet3": [0.5]}))
    monkeypatch.setattr("ddsweep.agent.worker.IDLE_SECONDS", 0.01)


def no_disk(*rest: Any, **more: Any) -> Result:
    raise OSError("no such disk")


@pytest.fixture
def stopped(ddsweep: Run, launch: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A sweep of three cells that was launched, and asked to stop while its first cell ran."""
    real = trial.run
    answers: list[Any] = []

    def run(*rest: Any, **more: Any) -> Result:
        if not answers:
            answers.append(ddsweep("stop", NAME))
        return real(*rest, **more)

    with monkeypatch.context() as asked:
        asked.setattr(trial, "run", run)
        launched = ddsweep(*launch)
    return launched, answers[0]


def test_stopping_finishes_the_cell_in_hand(ddsweep: Run, stopped: Any) -> None:
    launched, asked = stopped
    assert asked.stdout.startswith(f"{NAME}: asked 1 agent to finish the running cells and stop; done 0/3   running 1")
    assert "dm · ipc" in asked.stdout, "what it runs"
    assert f"resume with  ddsweep agents {NAME}   or the command that launched it" in asked.stdout
    assert launched.exit_code == 1
    assert "stopped on request: 2 cells left, 0 of them running on other agents" in launched.stdout
    assert "stopped on request" in ddsweep("status", NAME).stdout
    assert json.loads(ddsweep("status", NAME, "--json").stdout)[0]["stopping"] == "drain"


def test_agents_go_on_with_a_stopped_sweep(ddsweep: Run, stopped: Any) -> None:
    result = ddsweep("agents", NAME, *HERE)
    assert result.exit_code == 0, result.output
    assert "done 3/3   running 0   failed 0" in result.stdout
    assert f"next    ddsweep results {NAME}" in result.stdout
    assert [row.state for row in queue().status().rows] == [State.COMPLETE] * 3
    again = ddsweep("agents", NAME, *HERE)
    assert (again.exit_code, "done 3/3" in again.stdout) == (0, True), "nothing left to do"


def test_launching_again_goes_on_too(ddsweep: Run, stopped: Any, launch: list[str]) -> None:
    assert "done 3/3" in ddsweep(*launch).stdout
    assert queue().stop_asked() == ""


def test_agents_need_a_launched_sweep(ddsweep: Run, stopped: Any) -> None:
    for command in ("agents", "stop"):
        result = ddsweep(command, "ablation-epoch@demo")
        assert result.exit_code == 2
        assert f"error: no registered sweep 'ablation-epoch@demo'; did you mean {NAME}?" in result.stderr


def test_contradictions_are_told_in_a_line(ddsweep: Run) -> None:
    result = ddsweep("launch", NAME, "--gpus", "0", "--device", "cpu")
    assert (result.exit_code, result.stderr) == (2, "error: gpus: cannot be combined with --device cpu\n")


def test_a_launch_without_a_slot_left_ends_and_says_what_is_left(
    ddsweep: Run, launch: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "run", no_disk)
    result = ddsweep(*launch)
    assert result.exit_code == 1
    assert "closed  cpu: different cells failed in a row" in result.stdout
    assert (
        "no agent is left on this machine, every slot was closed: 3 cells left, 0 of them running on other agents"
        in result.stdout
    )
    assert all(row.reasons == ("OSError: no such disk",) for row in queue().status().rows), "one attempt each"
    attached = ddsweep("agents", NAME, *HERE)
    assert (attached.exit_code, "every slot was closed" in attached.stdout) == (1, True)


def test_every_agent_on_every_host_is_shown_in_100_columns(ddsweep: Run, stopped: Any) -> None:
    """Two hosts that share nothing with us but the storage."""
    title = "dm · ipc 50 · α 500 · convnet3 · N_m 10 · epoch 150 · seed 2"
    far = AgentStatus(
        "node-a:17", "gpu 3 · 2", NAME, title, "distill", 12000, 20000, 14.2, host="node-a",
        images_per_second=36352.0, gpu_memory_gb=31.4,
    )  # fmt: skip
    idle = AgentStatus("node-b:4", "MIG-63feeb45", NAME, phase="paused: disk full at /scratch/runs", host="node-b")
    for one in (far, idle):
        queue().report(one.agent, asdict(one))
    lines = ddsweep("status", NAME).stdout.splitlines()
    assert max(map(len, lines)) <= 100
    (busy,) = [line for line in lines if "node-a" in line]
    assert "node-a gpu 3 · 2" in busy and "dm ·" in busy  # how much fits depends on the age of the report
    assert "distill 12000/20000 · 14.2 steps/s · 36352 img/s · 31.4 GB" in busy
    assert any("node-b MIG-63feeb45" in line and "paused: disk full at /scratch/runs" in line for line in lines)
    agents = json.loads(ddsweep("status", NAME, "--json").stdout)[0]["agents"]
    assert [one["host"] for one in agents] == ["node-a", "node-b"]
    assert all(0 <= one["age"] < 60 for one in agents)


def test_an_agent_that_is_not_heard_of_looks_it() -> None:
    from ddsweep.cli import display

    one = AgentStatus("a:1", "gpu 0", NAME, "dm", "distill", 1, 2, age=8.0)
    assert display.agent_line(one).endswith("distill 1/2 · 8 s ago")
    one.age = 125.0
    assert display.agent_line(one).endswith("distill 1/2 · no report for 2 min 5 s")
    one.phase = "paused: disk full at " + "/very/long" * 20
    assert len(display.agent_line(one)) <= 100


def test_the_cells_of_a_group_have_a_line_each_in_status_and_none_in_launch() -> None:
    from ddsweep.cli import display

    group = [asdict(CellStatus(f"dm · α {alpha}", f"key{alpha}", "distill", 7, 9)) for alpha in (0, 1)]
    group.append(asdict(CellStatus("dm · " + "very long " * 20)))
    one = AgentStatus("a:1", "gpu 0", NAME, "dm · α 0", "distill", 7, 9, group=group)
    (line,) = display.agent_lines([one])
    assert line == "  gpu 0   3 cells   distill 7/9"
    lines = display.agent_lines([one, one], 60, cells=True)
    assert len(lines) == 8 and max(map(len, lines)) <= 60
    assert lines[1:3] == ["          · dm · α 0   distill 7/9", "          · dm · α 1   distill 7/9"]
    assert lines[3].endswith("…   waiting")


@pytest.mark.parametrize("command", ["launch", "agents", "agent"])
def test_group_and_no_group_contradict_each_other(ddsweep: Run, command: str) -> None:
    done = ddsweep(command, NAME, "--group", "3", "--no-group")
    assert done.exit_code == 2
    assert "group: --group and --no-group contradict each other; give one of them" in done.output
    assert ddsweep(command, NAME, "--group", "0").exit_code == 2


def test_the_exit_status_of_a_bad_slot_differs_from_every_other() -> None:
    assert len({0, 1, 2, agent.RESTART_NEEDED, agent.BAD_DEVICE, agent.OTHER_IMAGES}) == 6
