"""The supervised W&B agent: its device, how it ends together with its trials, and how it gives up on a bad device."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml

from ddsweep import agent, device
from ddsweep.agent import Placement, wandb
from ddsweep.agent.wandb import WandbAgent
from tests.standin import ENTITY, Standin
from tests.standin.sweeps import Sweep
from tests.test_processes import gone

TRIAL = """
import json, os, pathlib, sys, time
from ddsweep import processes
from ddsweep.agent.wandb_trial import TrialRecord
processes.end_with(os.getppid())
record = TrialRecord(pathlib.Path(os.environ["DDSWEEP_FAILURES"]))
record.start(sys.argv[1])
names = ("DDSWEEP_DEVICE", "DDSWEEP_DEVICE_LABEL", "OMP_NUM_THREADS", "WANDB_RUN_ID", "WANDB_DIR")
inherited = {name: os.environ.get(name) for name in names}
line = json.dumps({"pid": os.getpid(), "agent": os.getppid(), "point": json.loads(sys.argv[1]), **inherited})
with open("trials.jsonl", "a") as file:
    file.write(line + "\\n")
BODY
record.end()
"""
SUPERVISOR = """
import pathlib, sys
from ddsweep.agent import Placement, wandb
from ddsweep.agent.wandb import WandbAgent, main
sys.exit(main(WandbAgent("toy@demo", sys.argv[1], pathlib.Path("runs").absolute(), Placement("cpu", "cpu · 2", 3))))
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Standin]:
    with Standin() as one:
        for name, value in one.environment(tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        yield one
        assert one.unhandled == []


Supervise = Callable[[str, list[int]], "subprocess.Popen[bytes]"]


@pytest.fixture
def supervise(server: Standin) -> Iterator[Supervise]:
    """Register a sweep whose trials run ``body``, and start one supervised agent for it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(body: str, values: list[int]) -> subprocess.Popen[bytes]:
        path = register(server, body, values)
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", SUPERVISOR, path], start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as under nohup
            )
        )  # fmt: skip
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def register(server: Standin, body: str, values: list[int]) -> str:
    config = {
        "method": "grid",
        "parameters": {"alpha": {"values": values}},
        "command": [sys.executable, "-c", TRIAL.replace("BODY", body), "${args_json}"],
    }
    one = Sweep(ENTITY, "toys", yaml.safe_dump(config))
    server.sweeps[one.name] = one
    server.state.projects.add((ENTITY, "toys"))
    return f"{ENTITY}/toys/{one.name}"


def trials() -> list[dict]:
    file = Path("trials.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def wait_for(condition: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("on", "before", "told"),
    [
        ("cpu", None, {"DDSWEEP_DEVICE": "cpu"}),
        ("mps", None, {"DDSWEEP_DEVICE": "mps"}),
        ("cuda:2", None, {"DDSWEEP_DEVICE": "cuda:0", "CUDA_VISIBLE_DEVICES": "2"}),
        ("cuda:1", "5,GPU-8a,7", {"DDSWEEP_DEVICE": "cuda:0", "CUDA_VISIBLE_DEVICES": "GPU-8a"}),
    ],
)
def test_a_trial_sees_its_own_gpu_and_no_other(
    on: str, before: str | None, told: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(device, "listed", list)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if before is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)
    assert wandb.only_device(on) == told


def test_the_environment_has_the_path_of_ddsweep_and_no_copy_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("WANDB_SERVICE", "another process's")
    environment = WandbAgent("toy@demo", "a/b/c", Path("/runs"), Placement("cpu")).environment()
    assert environment["PATH"].split(os.pathsep)[0] == sysconfig.get_path("scripts")
    assert [name for name, value in environment.items() if "k" * 40 in value] == ["WANDB_API_KEY"]
    assert "WANDB_SERVICE" not in environment


@pytest.mark.slow
def test_every_point_runs_once_on_its_device(supervise: Supervise) -> None:
    supervisor = supervise("", [0, 1, 10])
    assert supervisor.wait(120) == 0
    ran = trials()
    assert [one["point"] for one in ran] == [{"alpha": 0}, {"alpha": 1}, {"alpha": 10}]
    assert {(one["DDSWEEP_DEVICE"], one["DDSWEEP_DEVICE_LABEL"], one["OMP_NUM_THREADS"]) for one in ran} == {
        ("cpu", "cpu · 2", "3")
    }
    assert len({one["WANDB_RUN_ID"] for one in ran}) == 3
    assert [path for path in Path("runs/toy@demo").rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_sigterm_reaches_the_trial_first(supervise: Supervise) -> None:
    body = (
        "import signal; signal.signal(signal.SIGTERM, lambda *_: (open('asked', 'w'), sys.exit(143))); time.sleep(300)"
    )
    supervisor = supervise(body, [0, 1])
    wait_for(trials)
    supervisor.terminate()
    assert supervisor.wait(60) == 128 + signal.SIGTERM
    (trial,) = trials()
    assert Path("asked").exists()
    assert gone(trial["pid"])
    assert gone(trial["agent"])


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["supervisor", "agent"])
def test_no_process_survives_a_kill(supervise: Supervise, victim: str) -> None:
    supervisor = supervise("time.sleep(300)", [0, 1])
    wait_for(trials)
    (trial,) = trials()
    os.kill(supervisor.pid if victim == "supervisor" else trial["agent"], signal.SIGKILL)
    wait_for(lambda: gone(trial["pid"]) and gone(trial["agent"]), 30)
    assert supervisor.wait(30) == (-signal.SIGKILL if victim == "supervisor" else 1)
    assert len(trials()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("failure", ["record.fail(sys.argv[1], 'why'); sys.exit(1)", "os.kill(os.getpid(), 9)"])
def test_the_agent_gives_up_on_a_device_on_which_every_trial_fails(supervise: Supervise, failure: str) -> None:
    supervisor = supervise(failure, list(range(9)))
    assert supervisor.wait(120) == agent.BAD_DEVICE
    assert len(trials()) in (3, 4)
    assert all(gone(one["pid"]) for one in trials())


@pytest.mark.slow
def test_occasional_failures_do_not_stop_the_agent(supervise: Supervise) -> None:
    body = "record.fail(sys.argv[1], 'why') or sys.exit(1) if json.loads(sys.argv[1])['alpha'] % 3 else None"
    supervisor = supervise(body, list(range(5)))
    assert supervisor.wait(180) == 0
    assert len(trials()) == 5
