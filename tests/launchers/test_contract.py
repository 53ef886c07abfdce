"""What every launcher keeps to: the queue is drained, nothing is left behind; and what processes add to that."""

from __future__ import annotations

import os
import signal
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from ddsweep import processes, sweep
from ddsweep.backends import Backend, Definition, Point, State, connect
from ddsweep.device import Slot
from ddsweep.errors import UserError
from ddsweep.launchers import Job, Launcher, local, plan
from ddsweep.launchers.inline import InlineLauncher
from ddsweep.launchers.local import LocalLauncher
from ddsweep.sweep import Sweep

TINY: dict[str, Any] = {
    "iterations": 2, "width": 4, "batch_real": 8, "ptm_train_epochs": 1, "ptm_batch": 512, "eval_nets": 1,
    "eval_epochs": 2, "alpha": [0, 10],
}  # fmt: skip


@pytest.fixture
def one() -> Sweep:
    return sweep.load("ablation-alpha", "demo", TINY)


@pytest.fixture
def job(one: Sweep) -> Job:
    Path("runs").mkdir()
    return plan.job(one.full_name, Path("runs"), f"sqlite:///{Path('runs/ddsweep.db').absolute()}", 2 * [Slot("cpu")])


@pytest.fixture
def queue(one: Sweep, job: Job) -> Backend:
    backend = connect(job.storage).sweep(one.full_name)
    points = [Point(cell.key, dict(cell.point), cell.key, cell.recipe.title()) for cell in one.cells]
    backend.register(Definition(one.full_name, points, one.definition(), 3))
    return backend


def wait(launcher: Launcher, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while launcher.poll():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("kind", [InlineLauncher, LocalLauncher])
class TestContract:
    def test_the_queue_is_drained_and_nobody_stays(self, kind: Any, job: Job, queue: Backend) -> None:
        launcher: Launcher = kind(job, [Slot("cpu")])
        launcher.start()
        wait(launcher)
        assert [row.state for row in queue.status().rows] == [State.COMPLETE] * 2
        assert launcher.closed() == []
        launcher.stop()
        assert launcher.poll() == 0

    def test_stopping_what_does_not_run_is_nothing(self, kind: Any, job: Job) -> None:
        launcher: Launcher = kind(job, [Slot("cpu")])
        launcher.stop()
        assert launcher.poll() == 0


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_slot_whose_agents_keep_dying_is_closed(job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        processes.sys, "executable", script(tmp_path / "agent", 'echo "$@" >> started; echo broken >&2; exit 3')
    )
    launcher = LocalLauncher(job, [Slot("cuda:0", "gpu 3", "3")])
    launcher.start()
    wait(launcher)
    assert len(Path("started").read_text().splitlines()) == local.MAX_DEATHS
    (reason,) = launcher.closed()
    assert "gpu 3: 3 agents died (last status 3)" in reason
    assert "broken" in (job.folder / "agent-0.log").read_text()


def test_a_slot_on_which_different_cells_fail_is_closed_at_once(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = '{"ended": 0, "failed": {"a": "no disk", "b": "no disk", "c": "no such folder"}}'
    body = f"echo x >> started; mkdir -p {job.folder}; echo '{told}' > {job.folder}/agent-0.failures; exit 76"
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", body))
    launcher = LocalLauncher(job, [Slot("cpu")])
    launcher.start()
    wait(launcher)
    assert len(Path("started").read_text().splitlines()) == 1
    (reason,) = launcher.closed()
    assert "cpu: 3 different cells in a row failed, the last with: no such folder; see" in reason


def test_deaths_are_counted_from_the_last_cell_that_ended(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two agents die, the next ends a cell and dies, then two more: three in a row."""
    body = f"""echo x >> started
    [ $(wc -l < started) = 3 ] && echo '{{"ended": 1, "failed": {{}}}}' > {job.folder}/agent-0.failures
    exit 9"""
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", body))
    launcher = LocalLauncher(job, [Slot("cpu")])
    launcher.start()
    wait(launcher)
    assert len(Path("started").read_text().splitlines()) == 5
    assert "cpu: 3 agents died (last status 9)" in launcher.closed()[0]


def test_an_agent_that_asks_for_a_fresh_process_gets_one(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = "echo x >> started; [ $(wc -l < started) = 6 ] && exit 0; exit 75"
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", body))
    launcher = LocalLauncher(job, [Slot("cpu")])
    launcher.start()
    wait(launcher)
    assert (len(Path("started").read_text().splitlines()), launcher.closed()) == (6, [])


def test_what_a_killed_agent_was_writing_does_not_stay(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = (
        f"echo x >> started; [ $(wc -l < started) = 2 ] && exit 0; touch {job.folder}/.agent-0.failures.01.tmp; exit 9"
    )
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", body))
    launcher = LocalLauncher(job, [Slot("cpu")])
    launcher.start()
    wait(launcher)
    assert [path.name for path in job.folder.iterdir()] == ["agent-0.log"]


def test_agents_are_told_their_job_and_no_password(job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dataclasses import replace

    secret = replace(job, storage="postgresql://me:secret@host/db")
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", 'echo "$@" > words; env > environment'))
    launcher = LocalLauncher(secret, [Slot("cuda:0", "gpu 1 · 2", "GPU-5d5b")])
    launcher.start()
    wait(launcher)
    words = Path("words").read_text()
    assert f"agent {job.sweep} " in words and "--device cuda:0 --device-label gpu 1 · 2" in words
    assert "secret" not in words
    environment = Path("environment").read_text().splitlines()
    assert "DDSWEEP_STORAGE=postgresql://me:secret@host/db" in environment
    assert f"OMP_NUM_THREADS={job.threads}" in environment
    assert "CUDA_VISIBLE_DEVICES=GPU-5d5b" in environment


@pytest.mark.slow
def test_an_agent_that_will_not_leave_is_ended_with_its_children(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local, "PATIENCE", 0.5)
    body = "trap '' TERM; sleep 60 & echo $! > child; echo $$ > parent; wait; sleep 60"
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", body))
    launcher = LocalLauncher(job, [Slot("cpu")])
    launcher.start()
    while not (Path("parent").exists() and Path("parent").read_text().strip()):
        time.sleep(0.02)
    launcher.stop()
    assert launcher.poll() == 0
    for name in ("child", "parent"):
        with pytest.raises(ProcessLookupError):
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                os.kill(int(Path(name).read_text()), 0)
                time.sleep(0.05)


@pytest.mark.slow
def test_killed_and_stopped_agents_lose_nothing(one: Sweep, job: Job, queue: Backend) -> None:
    """An agent killed outright is replaced; one that is stopped gives its cell back; a new launch finishes."""
    launcher = LocalLauncher(job, [Slot("cpu"), Slot("cpu", "cpu · 2")])
    launcher.start()
    time.sleep(2.0)
    victim = launcher._slots[0].process
    assert victim is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert launcher.poll() == 2
    launcher.stop()
    assert launcher.poll() == 0
    assert not [row for row in queue.status().rows if row.state is State.FAILED]
    again = LocalLauncher(job, [Slot("cpu")])
    again.start()
    time.sleep(1.0)
    again.stop()
    running = [row for row in queue.status().rows if row.state is State.RUNNING]
    assert len(running) <= 1  # the one that was killed; its lease runs out


@pytest.mark.parametrize(
    ("wanted", "workers", "slots"), [("cpu", None, 1), ("cpu", 3, 3), ("auto", 2, 2), ("cpu", 0, 1)]
)
def test_slots(wanted: str, workers: int | None, slots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "cores", lambda: 2)
    assert len(plan.slots(wanted, workers)) == slots


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)


def test_gpus_are_shared_out(two_gpus: None) -> None:
    def names(*words: Any) -> list[tuple[str, str]]:
        return [(str(slot), slot.gpu) for slot in plan.slots(*words)]

    first, second = ("gpu 0", "0"), ("gpu 1", "1")
    assert names("auto", None) == [first, second]
    assert names("cuda", 3) == [first, second, ("gpu 0 · 2", "0")]
    assert names("cuda:1", None) == [second]
    assert names("auto", None, "1") == [second]
    assert names("auto", None, "all", 2) == [first, second, ("gpu 0 · 2", "0"), ("gpu 1 · 2", "1")]
    assert names("cuda", 0) == [("cuda:0", "")], "this process sees what it sees"
    assert plan.summary(plan.slots("auto", 3)) == ["gpu 0 × 2", "gpu 1"]
    with pytest.raises(
        UserError, match="device: cuda:2 is not available on this machine; available: cpu, cuda:0, cuda:1"
    ):
        plan.slots("cuda:2", None)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("cpu", None, "0", None), "gpus: cannot be combined with --device cpu"),
        (
            ("auto", 0, "0", None),
            "workers: 0 runs in this process and cannot be combined with --gpus; choose a GPU with --device cuda:N",
        ),
        (("auto", 4, None, 2), "per-gpu: --per-gpu and --workers both set the number of agents; give one of them"),
        (("cpu", None, None, 2), "per-gpu: cpu is not a GPU; set the number of agents with --workers"),
    ],
)
def test_contradictions(two_gpus: None, words: Any, line: str) -> None:
    with pytest.raises(UserError) as caught:
        plan.slots(*words)
    assert str(caught.value) == line


def test_agents_are_told_about_groups_only_what_differs_from_their_default() -> None:
    slots = 3 * [Slot("cpu")]
    assert not {"--group", "--agents"} & {
        word.partition("=")[0] for word in plan.job("s", Path(), "x", slots[:1]).command()
    }
    words = plan.job("s", Path(), "x", slots, group=2).command()
    assert [word for word in words if word.startswith(("--group", "--agents"))] == ["--group=2", "--agents=3"]


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "cores", lambda: 8)
    jobs = [plan.job("s", Path(), "x", agents * [Slot("cpu")]) for agents in (1, 3, 16)]
    assert [job.threads for job in jobs] == [8, 2, 1]
    assert plan.job("s", Path(), "x", 2 * [Slot("cpu", threads=3)]).threads == 3, "as measured, whatever is left over"
