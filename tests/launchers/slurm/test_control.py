from __future__ import annotations

import re
from pathlib import Path

import pytest

from ddsweep.errors import UserError
from ddsweep.launchers.slurm import control
from ddsweep.trackers.status import AgentStatus
from tests.launchers.slurm.conftest import Desk


def agent(job: str, cell: str = "dm · α 10") -> AgentStatus:
    return AgentStatus("vm:1", "gpu 0", "sweep", cell=cell, job=job)


def test_without_slurm_the_line_says_where_to_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="squeue is not installed on this machine; run ddsweep on a login node"):
        control.scheduled(["1"])


def test_a_job_that_is_gone_has_no_tasks(desk: Desk) -> None:
    desk._program("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert control.scheduled(["4711"]) == []
    desk._program("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(UserError, match="squeue: Unable to contact slurm controller"):
        control.scheduled(["4711"])


def test_what_a_sweep_was_submitted_as_is_remembered(tmp_path: Path) -> None:
    assert control.remembered(tmp_path) == []
    for job in ("999", "1000"):
        control.remember(tmp_path, job, 8)
    assert control.remembered(tmp_path) == ["999", "1000"]


def test_slurms_tasks_and_our_leases_are_joined(desk: Desk, tmp_path: Path) -> None:
    assert control.joined(tmp_path, [agent("4711_0")]) == []
    control.remember(tmp_path, "4711", 4)
    desk.queue.write_text("4711_0|RUNNING|None\n4711_2|PENDING|Resources\n4711_3|PENDING|Resources\n")
    (tmp_path / "4711_1.closed").write_text("gpu 0: 3 agents died\n")
    seen = [agent("4711_0"), agent("4711_1"), agent("4711_1", cell=""), agent("12_1"), agent("")]
    assert control.joined(tmp_path, seen) == [
        "slurm 4711   1 running, 2 pending (Resources)",
        "slurm 4711_1   has ended; its cell is claimed until the lease expires: dm · α 10",
        "closed  4711_1 gpu 0: 3 agents died",
    ]
    assert control.listed(tmp_path) == [
        {"id": "4711_0", "state": "RUNNING", "reason": "None"},
        {"id": "4711_2", "state": "PENDING", "reason": "Resources"},
        {"id": "4711_3", "state": "PENDING", "reason": "Resources"},
    ]


def test_status_goes_on_where_slurm_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control.remember(tmp_path, "4711", 1)
    monkeypatch.setenv("PATH", "")
    assert control.joined(tmp_path, []) == [
        "slurm: squeue is not installed on this machine; run ddsweep on a login node of the cluster"
    ]
    assert control.listed(tmp_path) is None


@pytest.mark.parametrize(("state", "running"), [("RUNNING", True), ("COMPLETING", False), ("", False)])
def test_whether_slurm_goes_on_with_us(state: str, running: bool, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4712")
    desk.queue.write_text(f"{state}\n")
    assert control.still_running() is running
    assert desk.told == ["squeue --noheader --jobs=4712 --format=%T"]


def test_a_sweep_that_nobody_works_on_is_noticed(desk: Desk, tmp_path: Path) -> None:
    """Its array was preempted with PreemptMode=CANCEL: Slurm forgets it, and nothing would ever happen again."""
    assert control.abandoned(tmp_path, [], 3) == [], "it was never submitted"
    control.remember(tmp_path, "4710", 2, "ddsweep launch first")
    control.remember(tmp_path, "4711", 2, "ddsweep launch second --slurm gpus=2,time=10")
    control.note_end(tmp_path, "4710_0", "canceled")
    for task in ("4711_0", "4711_1"):
        control.note_end(tmp_path, task, "preempted")
    first, second = control.abandoned(tmp_path, [], 3)
    assert re.fullmatch(
        r"slurm 4711 has ended \(preempted at \d{4}-\d\d-\d\d \d\d:\d\d UTC\): 3 cells left, and no agent", first
    )
    assert second == "to submit it again, type:  ddsweep launch second --slurm gpus=2,time=10"
    assert control.abandoned(tmp_path, [], 0) == [], "it is done"
    assert control.abandoned(tmp_path, [agent("")], 3) == [], "somebody else works on it"
    assert control.abandoned(tmp_path, [agent("4711_0")], 3) != [], "an agent of the array that was killed"
    desk.queue.write_text("4711_1|PENDING|Priority\n")
    assert control.abandoned(tmp_path, [], 3) == [], "Slurm will start it"


def test_a_submission_of_an_earlier_version_names_no_command(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "4711.json").write_text('{"job": "4711", "tasks": 2}')
    (tmp_path / "4711_0.ended").write_text("half a fi")
    assert control.abandoned(tmp_path, [], 1) == ["slurm 4711 has ended: 1 cell left, and no agent"]
