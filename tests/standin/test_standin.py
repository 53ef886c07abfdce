"""The stand-in with the real client: logged data can be read back, and injected errors occur as planned."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import wandb
import yaml

from tests.standin import ENTITY, Standin
from tests.standin.sweeps import Sweep

TRIAL = """
import json, os, sys, time, wandb
point = json.loads(sys.argv[1])
with wandb.init() as run:
    open(f"begun-{run.id}", "w").write(str(os.getpid()))
    while os.path.exists("wait"):
        time.sleep(0.05)
    run.summary["accuracy"] = point["alpha"] / 10
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Standin]:
    with Standin() as one:
        for name, value in one.environment(tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        yield one
        wandb.teardown()
        assert one.unhandled == []


def test_a_run_with_everything(server: Standin, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"weights")
    for step in range(2):
        with wandb.init(project="p", id="one", resume="allow", group="g", config={"alpha": 0.0, "word": "1e3"}) as run:
            run.log({"loss": step, "grid": wandb.Image(np.zeros((4, 4, 3), np.uint8), caption="birds")})
            run.log({"classes": wandb.Table(columns=["class"], data=[["bird"]])})
            made = wandb.Artifact("set", "dataset", metadata={"ipc": 1})
            with made.new_file("images.txt") as file:
                file.write(f"pixels {step}")
            run.log_artifact(made, aliases=["best"])
            ptm = wandb.Artifact("ptm", "model")
            ptm.add_reference(weights.as_uri())
            run.use_artifact(ptm)
            run.summary["accuracy"] = 0.5 + step / 4

    assert [line["loss"] for line in server.history("one") if "loss" in line] == [0, 1]
    assert [line["_step"] for line in server.history("one")] == [0, 1, 2, 3]
    assert server.config("one") == {"alpha": 0, "word": "1e3"}  # JSON does not distinguish 0.0 and 0
    assert (server.summary("one")["accuracy"], server.runs["one"].state) == (0.75, "finished")
    images = [path for name, path in server.files("one").items() if name.startswith("media/images/grid")]
    assert len(images) == 2 and images[0].read_bytes().startswith(b"\x89PNG")
    assert {"set:v0", "set:v1", "ptm:v0"} <= set(server.artifacts)
    assert server.artifacts["set:v0"].aliases == []
    assert set(server.artifacts["set:v1"].aliases) == {"latest", "best"}
    assert server.artifact_files("set:v1")["images.txt"].read_text() == "pixels 1"
    assert server.manifest("ptm:v0")["contents"]["weights.safetensors"]["ref"] == weights.as_uri()
    assert server.artifacts["ptm:v0"].used_by == ["one"]

    api = wandb.Api()
    run = api.runs(f"{ENTITY}/p", filters={"group": "g"})[0]
    assert (run.id, run.config["word"], run.summary["accuracy"]) == ("one", "1e3", 0.75)
    assert [row["loss"] for row in run.history(pandas=False, keys=["loss"]) if "loss" in row] == [0, 1]
    assert {one.name for one in run.logged_artifacts()} >= {"set:v0", "set:v1"}
    assert [one.name for one in run.used_artifacts()] == ["ptm:v0"]
    with wandb.init(project="p", id="two") as other:
        folder = other.use_artifact("set:v0").download(str(tmp_path / "got"))
    assert Path(folder, "images.txt").read_text() == "pixels 0"


@pytest.mark.slow
def test_errors_of_the_server_are_survived(server: Standin) -> None:
    server.fail("file_stream", 503)
    with wandb.init(project="p", id="one") as run:
        run.log({"loss": 1})
    assert [line["loss"] for line in server.history("one")] == [1]
    assert server.state.failures == {"file_stream": []}


@pytest.mark.slow
def test_it_may_go_away_and_come_back(server: Standin) -> None:
    with wandb.init(project="p", id="one") as run:
        run.log({"loss": 0})
        server.close()
        run.log({"loss": 1})
        server.open()
        run.log({"loss": 2})
    assert [line["loss"] for line in server.history("one")] == [0, 1, 2]


def test_a_key_that_it_does_not_know(server: Standin) -> None:
    server.reject_key()
    with pytest.raises(wandb.errors.AuthenticationError, match="did not recognize"):
        wandb.Api()


@pytest.mark.slow
def test_an_offline_run_is_uploaded_once(server: Standin) -> None:
    code = (
        "import wandb\nwith wandb.init(project='p', id='off', group='g', mode='offline') as run: run.log({'loss': 1})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert server.runs == {}
    (folder,) = Path(os.environ["WANDB_DIR"], "wandb").glob("offline-run-*")
    for _ in range(2):
        subprocess.run([sys.executable, "-m", "wandb", "sync", folder], check=True)
    assert (server.runs["off"].group, server.runs["off"].state, server.summary("off")["loss"]) == ("g", "finished", 1)
    assert len(server.history("off")) == 1


@pytest.mark.filterwarnings("ignore:Read the `app_url`:DeprecationWarning")  # raised by W&B itself
def test_sweeps_of_a_project(server: Standin) -> None:
    config = {"method": "grid", "name": "mine", "parameters": {"alpha": {"values": [0, 1]}, "ipc": {"value": 1}}}
    identifier = wandb.sweep(config, project="p", entity=ENTITY)
    one = wandb.Api().sweep(f"{ENTITY}/p/{identifier}")
    assert (one.state, one.config, one.expected_run_count) == ("PENDING", config, 2)
    assert [each.id for each in wandb.Api().project("p", ENTITY).sweeps()] == [identifier]


@pytest.fixture
def sweep() -> Sweep:
    parameters = {"alpha": {"values": [0, 1]}, "ptm_archs": {"values": ["a", "b"]}, "ipc": {"value": 1}}
    return Sweep(ENTITY, "p", yaml.safe_dump({"method": "grid", "parameters": parameters}))


def test_a_grid_is_dealt_once_whoever_asks(server: Standin, sweep: Sweep) -> None:
    agents = [sweep.enrol(f"host{index}") for index in range(3)]
    given = [sweep.commands(agents[index % 3], [], server.state)[0] for index in range(4)]
    points = [tuple(command["args"][name]["value"] for name in ("alpha", "ptm_archs", "ipc")) for command in given]
    assert sorted(points) == [(0, "a", 1), (0, "b", 1), (1, "a", 1), (1, "b", 1)]
    assert len({command["run_id"] for command in given}) == 4
    assert sweep.commands(agents[0], ["busy"], server.state) == []
    assert sweep.commands(agents[0], [], server.state) == [{"type": "exit"}]
    assert sweep.state == "FINISHED"


@pytest.mark.parametrize(
    ("state", "idle", "busy"),
    [("PAUSED", [], []), ("FINISHED", [{"type": "exit"}], []),
     ("CANCELED", [{"type": "exit"}], [{"type": "stop", "run_id": "r"}])],
)  # fmt: skip
def test_what_agents_are_told_when_a_sweep_is_steered(
    server: Standin, sweep: Sweep, state: str, idle: list[object], busy: list[object]
) -> None:
    agent = sweep.enrol("host")
    sweep.state = state
    assert sweep.commands(agent, [], server.state) == idle
    assert sweep.commands(agent, ["r"], server.state) == busy
    if state == "PAUSED":
        sweep.state = "RUNNING"
        assert sweep.commands(agent, [], server.state)[0]["type"] == "run"


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "waited for two minutes"
        time.sleep(0.05)


@pytest.mark.slow
def test_the_command_line_of_wandb(server: Standin) -> None:
    """``wandb sweep``, two concurrent ``wandb agent`` processes, pause, resume, a killed agent, cancel."""
    Path("trial.py").write_text(TRIAL)
    command = ["${env}", sys.executable, "trial.py", "${args_json}"]
    config = {"method": "grid", "parameters": {"alpha": {"values": [0, 1, 2, 3]}}, "command": command}
    Path("sweep.yaml").write_text(yaml.safe_dump(config))
    Path("wait").touch()
    wandb_ = [sys.executable, "-m", "wandb"]
    subprocess.run([*wandb_, "sweep", "--project", "p", "sweep.yaml"], check=True)
    (identifier,) = server.sweeps
    path = f"{ENTITY}/p/{identifier}"
    agents = [subprocess.Popen([*wandb_, "agent", path]) for _ in range(2)]
    until(lambda: len(server.runs) == 2)
    subprocess.run([*wandb_, "sweep", "--pause", path], check=True)
    Path("wait").unlink()
    until(lambda: all(run.state == "finished" for run in server.runs.values()))
    assert len(server.runs) == 2
    Path("wait").touch()
    subprocess.run([*wandb_, "sweep", "--resume", path], check=True)
    until(lambda: len(server.runs) == 4)
    agents[0].kill()
    agents[0].wait()
    subprocess.run([*wandb_, "sweep", "--cancel", path], check=True)
    assert agents[1].wait(120) == 0
    for begun in Path().glob("begun-*"):  # a killed W&B agent leaves its trial running
        try:
            os.kill(int(begun.read_text()), signal.SIGKILL)
        except ProcessLookupError:
            continue
    assert server.sweeps[identifier].state == "CANCELED"
    assert sorted(json.dumps(run.values) for run in server.runs.values()) == [f'{{"alpha": {a}}}' for a in range(4)]
