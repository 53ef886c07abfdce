"""One task of the array, on its node, without Slurm."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ddsweep.launchers import Job
from ddsweep.launchers.slurm import control, task
from ddsweep.launchers.slurm.task import Task


class Agents:
    """A launcher whose agents work until they are stopped; ``at_poll`` is what happens meanwhile."""

    def __init__(self, polls: list[int], closed: list[str], at_poll: Any = None) -> None:
        self.polls, self._closed, self.at_poll, self.stopped = polls, closed, at_poll, 0
        self.made: tuple[Any, ...] = ()

    def __call__(self, job: Job, slots: Any, tag: str) -> Agents:
        self.made = (job, slots, tag)
        return self

    def start(self) -> None: ...

    def poll(self) -> int:
        if self.at_poll:
            self.at_poll()
        return self.polls.pop(0) if len(self.polls) > 1 else self.polls[0]

    def stop(self) -> None:
        self.stopped += 1

    def closed(self) -> list[str]:
        return self._closed


@pytest.fixture
def on_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The environment of a task, with submitit's handler for USR2: the signals that it was called with."""
    before = {one: signal.getsignal(one) for one in (signal.SIGUSR2, signal.SIGTERM)}
    queued: list[int] = []
    signal.signal(signal.SIGUSR2, lambda number, frame: queued.append(number))
    values = {"SLURM_ARRAY_JOB_ID": "4711", "SLURM_ARRAY_TASK_ID": "3", "SLURM_CPUS_ON_NODE": "6",
              "DDSWEEP_STORAGE": "postgresql://me:secret@host/db"}  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(task, "POLL", 0.0)
    yield queued
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.fixture
def one(job: Job, tmp_path: Path) -> Task:
    return Task(Job(job.sweep, job.runs, "", 0), "cpu", 2, tmp_path)


def test_it_ends_with_the_queue(one: Task, on_node: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    agents = Agents([2, 1, 0], [])
    monkeypatch.setattr(task, "LocalLauncher", agents)
    one()
    job, slots, tag = agents.made
    assert (job.storage, job.threads, tag) == ("postgresql://me:secret@host/db", 3, "4711_3-")
    assert [slot.device for slot in slots] == ["cpu", "cpu"]
    assert (agents.stopped, on_node) == (1, [])


@pytest.mark.parametrize("blow", [signal.SIGUSR2, signal.SIGTERM])
@pytest.mark.parametrize("running", [True, False])
def test_when_slurm_wants_the_node_cells_go_back_and_the_task_is_queued_again_once(
    blow: signal.Signals, running: bool, one: Task, on_node: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = Agents([2], [], at_poll=lambda: signal.raise_signal(blow))
    monkeypatch.setattr(task, "LocalLauncher", agents)
    monkeypatch.setattr(control, "still_running", lambda: running)
    one()
    assert agents.stopped == 1
    assert on_node == ([blow] if running else [])  # else Slurm has cancelled it, or queued it again itself


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("JobId=4711 JobState=COMPLETING PreemptTime=2026-11-30T09:22:54 SuspendTime=None", "preempted"),
        ("JobId=4711 JobState=COMPLETING PreemptTime=None SuspendTime=None", "canceled"),
        ("", "canceled"),
    ],
)
def test_why_it_ended_early_is_noted_until_it_starts_again(
    answer: str, reason: str, one: Task, on_node: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = Agents([2], [], at_poll=lambda: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr(task, "LocalLauncher", agents)
    monkeypatch.setattr(control, "still_running", lambda: False)
    monkeypatch.setattr(control, "ask", lambda *command: answer)
    monkeypatch.setenv("SLURM_JOB_ID", "4714")
    one()
    assert list(control.ended(one.folder, "4711")) == [reason]
    assert control.ended(one.folder, "471") == {}
    agents.at_poll, agents.polls = None, [0]
    one()
    assert control.ended(one.folder, "4711") == {}


def test_what_is_queued_again_is_the_same(one: Task) -> None:
    assert one.checkpoint().function == one


def test_a_task_that_gives_up_says_why(one: Task, on_node: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "LocalLauncher", Agents([0], ["cpu: 3 agents died"]))
    with pytest.raises(SystemExit) as ended:
        one()
    assert ended.value.code == 1
    assert control.closed(one.folder, "4711") == ["4711_3 cpu: 3 agents died"]


def test_a_node_without_the_device_is_given_up(job: Job, on_node: list[int], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        Task(job, "mps", 1, tmp_path)()
    (line,) = control.closed(tmp_path, "4711")
    assert "mps is not available on this machine" in line


def test_an_environment_that_did_not_arrive_is_told(
    one: Task, on_node: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DDSWEEP_STORAGE")
    with pytest.raises(SystemExit):
        one()
    assert "DDSWEEP_STORAGE did not reach the node" in control.closed(one.folder, "4711")[0]
