"""``launch --backend wandb`` as processes, with W&B's real agents and client, against the stand-in server."""

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

from ddsweep.results import result as results
from tests.cli.conftest import TINY, write_profile
from tests.standin import ENTITY, KEY, Standin
from tests.test_processes import gone

pytestmark = pytest.mark.slow
NAME = "ablation-alpha@demo"
DDSWEEP = [sys.executable, "-m", "ddsweep"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Standin]:
    """The service; a run that is silent for three seconds has crashed."""
    with Standin(crashes_after=3.0) as one:
        for name, value in one.environment(tmp_path / "home").items():
            if name != "WANDB_DIR":
                monkeypatch.setenv(name, value)
        monkeypatch.setenv("PATH", f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
        yield one
        assert one.unhandled == []


class Launch:
    """A launch in a process of its own; what it and the agents said."""

    def __init__(self, *words: str, workers: int = 1, iterations: int = 0) -> None:
        write_profile(*TINY, *([f"iterations={iterations}"] if iterations else []))
        command = [*DDSWEEP, "launch", NAME, "--backend=wandb", "--device=cpu", f"--workers={workers}", *words]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # in the background it would be ignored
        )  # fmt: skip

    def end(self) -> tuple[int, str]:
        """Exit status and output."""
        output, _ = self.process.communicate(timeout=240)
        return self.process.returncode, output


@pytest.fixture
def launch() -> Iterator[Callable[..., Launch]]:
    started: list[Launch] = []

    def start(*words: str, workers: int = 1, iterations: int = 0) -> Launch:
        started.append(Launch(*words, workers=workers, iterations=iterations))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()
    wait_for(lambda: not working())


def working() -> dict[str, int]:
    """Processes of this test by what they do, found by the folder they work in."""
    found: dict[str, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").resolve() != Path.cwd() or int(entry.name) == os.getpid() or gone(int(entry.name)):
                continue
            words = (entry / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        assert not any(KEY in word for word in words), f"the key is in the process list: {words[:4]}"
        if words[1:4] == ["-m", "wandb", "agent"]:
            found["wandb agent"] = int(entry.name)
        elif known := {"trial", "agent", "launch"} & set(words):
            found[known.pop()] = int(entry.name)
    return found


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.1)


def computed() -> dict[str, int]:
    """Finished cells by their folder, and when they were finished."""
    return {path.parent.name: path.stat().st_mtime_ns for path in Path("runs").glob("*/result.json")}


def runs(server: Standin, sweep: str) -> list[str]:
    return [name for name, run in server.runs.items() if run.sweep == sweep]


def no_file_has_the_key() -> None:
    for path in Path("runs").rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_two_agents_run_every_cell_once_and_what_is_done_stays_done(
    server: Standin, launch: Callable[..., Launch]
) -> None:
    first = launch("--set=alpha=0,1,10,100", workers=2)
    wait_for(working)
    while first.process.poll() is None:
        working()  # looks at command lines
        time.sleep(0.5)
    code, output = first.end()
    assert code == 0, output
    (sweep,) = server.sweeps
    assert f"{server.url}/{ENTITY}/ddsweep/sweeps/{sweep}" in output
    assert "done 4/4   running 0   failed 0" in output
    names = runs(server, sweep)
    assert sorted(server.config(name)["alpha"] for name in names) == [0, 1, 10, 100]
    assert {server.runs[name].state for name in names} == {"finished"}
    assert {server.runs[name].group for name in names} == {NAME}
    before = computed()
    for name in names:
        result = results.read(Path("runs") / server.config(name)["provenance"]["key"])
        assert result is not None
        assert server.summary(name)["accuracy"] == pytest.approx(result.accuracy)
        assert {"synthetic", "real"} <= {Path(file).name.split("_")[0] for file in server.files(name)}
        assert [file for file in server.files(name) if file.endswith(".table.json")]
    assert len(before) == 4
    sets = [one for one in server.artifacts.values() if one.type == "dataset"]
    assert {one.metadata["key"] for one in sets} == set(before)
    assert [one for one in server.artifacts.values() if one.type == "model"]
    no_file_has_the_key()

    code, output = launch("--set=alpha=0,1,10,100").end()
    assert code == 0, output
    assert "launched before: 4 cells kept, 0 added" in output
    assert (list(server.sweeps), computed()) == ([sweep], before)

    code, output = launch("--set=alpha=0,1,500").end()
    assert code == 0, output
    assert "changed alpha: 0, 1, 10, 100 → 0, 1, 500" in output
    assert "launched before: 2 cells kept, 1 added; 2 of earlier launches stay in the table" in output
    assert "done 5/5   running 0   failed 0" in output
    assert computed().items() > before.items()
    assert len(computed()) == 5
    shown = json.loads(subprocess.run([*DDSWEEP, "results", NAME, "--format=json"], capture_output=True).stdout)
    assert {row["alpha"] for row in shown} == {0, 1, 10, 100, 500}

    code, output = launch("--set=alpha=0,500", "--replace").end()
    assert code == 0, output
    assert "launched before: 2 cells kept, 0 added; 3 finished left the table (--replace)" in output
    assert "done 2/2" in output


def test_cells_that_another_queue_has_run_are_reported_and_not_run(
    server: Standin, launch: Callable[..., Launch]
) -> None:
    words = ["launch", NAME, "--device=cpu", "--workers=1", "--set=alpha=0,1"]
    write_profile(*TINY)
    subprocess.run([*DDSWEEP, *words], check=True, capture_output=True, timeout=120)
    before = computed()
    code, output = launch("--set=alpha=0,1").end()
    assert code == 0, output
    assert computed() == before
    assert len(server.runs) == 2
    for name in server.runs:
        assert server.runs[name].state == "finished"
        assert server.summary(name)["accuracy"] > 0
        assert [file for file in server.files(name) if file.endswith(".png")]


@pytest.mark.parametrize("victim", ["agent", "wandb agent", "trial"])
def test_a_cell_whose_processes_were_killed_is_run_by_the_next_launch(
    server: Standin, launch: Callable[..., Launch], victim: str
) -> None:
    one = launch("--set=alpha=0,1", iterations=400)
    wait_for(lambda: [run for run in server.runs.values() if run.state == "running"])
    trial = working()["trial"]
    os.kill(working()[victim], signal.SIGKILL)
    wait_for(lambda: gone(trial), 60)
    code, output = one.end()
    assert code == 1, output
    again = output.splitlines()[-1].partition(f"ddsweep launch {NAME} ")[2].split()
    assert {"--set=alpha=0,1"} <= set(again), "the command is complete"
    assert any(word.startswith("--backend") for word in again)
    wait_for(lambda: not working(), 60)
    assert len(computed()) == 1
    first = computed()
    code, output = launch("--set=alpha=0,1", iterations=400).end()
    assert code == 0, output
    assert "with 1 cell left, it continues as" in output
    assert computed().items() > first.items()


def test_nothing_outlives_a_launcher_that_was_killed(server: Standin, launch: Callable[..., Launch]) -> None:
    one = launch("--set=alpha=0,1", iterations=4000, workers=2)
    wait_for(lambda: len(server.runs) == 2)
    os.kill(one.process.pid, signal.SIGKILL)
    wait_for(lambda: not working(), 60)
    assert computed() == {}


def test_ctrl_c_gives_the_cells_back(server: Standin, launch: Callable[..., Launch]) -> None:
    one = launch("--set=alpha=0,1", iterations=4000)
    wait_for(lambda: server.runs)
    one.process.send_signal(signal.SIGINT)
    code, output = one.end()
    assert code == 130, output
    assert "stopped; resume with:  ddsweep launch" in output
    assert working() == {}


def test_pause_resume_and_cancel_are_obeyed(server: Standin, launch: Callable[..., Launch]) -> None:
    one = launch("--set=alpha=0,1,10,100", iterations=4000)
    wait_for(lambda: server.runs)
    (sweep,) = server.sweeps
    path = f"{ENTITY}/ddsweep/{sweep}"

    def wandb(verb: str) -> None:
        subprocess.run([sys.executable, "-m", "wandb", "sweep", f"--{verb}", path], check=True, capture_output=True)

    wandb("pause")
    first = runs(server, sweep)
    server.runs[first[0]].stopped = True  # the Stop button of the run
    wait_for(lambda: "trial" not in working())
    beats = server.operations["Heartbeat"]
    wait_for(lambda: server.operations["Heartbeat"] >= beats + 3)
    assert runs(server, sweep) == first
    wandb("resume")
    wait_for(lambda: len(runs(server, sweep)) == 2)
    wandb("cancel")
    code, output = one.end()
    assert code == 1, output
    assert working() == {}
    assert len(runs(server, sweep)) == 2
    assert computed() == {}


def test_a_failing_cell_says_why_and_the_others_finish(server: Standin, launch: Callable[..., Launch]) -> None:
    code, output = launch("--set=alpha=0,1e38,1").end()
    assert code == 1, output
    assert "done 2/3   running 0   failed 1" in output
    (failed,) = [name for name, run in server.runs.items() if run.state == "failed"]
    reason = server.summary(failed)["reason"]
    assert reason in output
    assert server.config(failed)["alpha"] == 1e38


@pytest.mark.parametrize("why", ["offline", "unreachable", "rejected"])
def test_without_wandb_the_local_queue_runs_the_grid_and_sync_uploads_it(
    server: Standin, launch: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    changed = {
        "offline": ("WANDB_MODE", "offline"), "unreachable": ("WANDB_BASE_URL", "http://127.0.0.1:9"),
        "rejected": ("WANDB_API_KEY", "f" * 40),
    }[why]  # fmt: skip
    with monkeypatch.context() as bad:
        bad.setenv(*changed)
        code, output = launch("--set=alpha=0,1").end()
    assert code == 0, output
    (line,) = [line for line in output.splitlines() if "W&B" in line]
    assert line.startswith("W&B is unavailable (")
    assert "next    ddsweep sync" in output
    assert (server.sweeps, server.runs) == ({}, {})
    no_file_has_the_key()
    for _ in range(2):
        subprocess.run([*DDSWEEP, "sync"], check=True, capture_output=True, timeout=120)
        assert {run.group for run in server.runs.values()} == {NAME}
        assert sorted(server.config(name)["alpha"] for name in server.runs) == [0, 1]
