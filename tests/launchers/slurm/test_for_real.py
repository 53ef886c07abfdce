"""A Slurm of one node with two GPUs that are none: arrays, preemption, time limits and kills, until every cell is done.

Agents are told ``--device cpu``; what they get from Slurm is the GPU's number.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ddsweep.backends import State, Status, connect
from ddsweep.launchers import Job
from ddsweep.launchers.slurm import SlurmLauncher, control, request
from tests.cli.conftest import TINY, Run, write_profile

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("cluster")]
NAME = "ablation-alpha@demo"
CELLS = 3
# a cell of the small ones takes a tenth of a second; of the long ones some seconds, in which things can happen to it
SMALL = TINY
LONG = [*[one for one in SMALL if not one.startswith(("iterations", "eval"))], "iterations=400", "eval_epochs=20"]
LONG.append("eval_nets=1")
PATIENCE = 120.0


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"did not happen\n{logs()}"
        time.sleep(0.1)


def logs() -> str:
    paths = [*Path("runs").glob("*@demo/slurm/*.out"), *Path("runs").glob("*@demo/agents/*.log")]
    return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in paths)


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def words(settings: list[str], asked: str) -> list[str]:
    """What follows ``ddsweep launch``, with these values in the profile; short notice, for a short time limit."""
    write_profile(*settings)
    return [NAME, "--device", "cpu", "--slurm", f"{asked},partition=gpu", "--set", "alpha=0,10,100"]


def queue() -> Status:
    store = connect("runs/ddsweep.db")
    try:
        return store.sweep(NAME).status()
    finally:
        store.close()


def running() -> bool:
    """Whether a cell is being distilled."""
    return any("distill" in path.read_text() for path in Path("runs", NAME, "agents").glob("[!.]*.json"))


def drained() -> bool:
    return queue().drained


def processes(word: bytes) -> Iterator[Path]:
    """Those that work in this folder and have ``word`` in their command, as /proc/PID."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").resolve() == Path.cwd() and word in (entry / "cmdline").read_bytes().split(b"\0"):
                yield entry


def visible() -> set[str]:
    """CUDA_VISIBLE_DEVICES of the agents."""
    found = set()
    for process in processes(b"agent"):
        with contextlib.suppress(OSError):
            lines = (process / "environ").read_bytes().split(b"\0")
            found |= {line.decode().partition("=")[2] for line in lines if line.startswith(b"CUDA_VISIBLE_DEVICES=")}
    return found


def job() -> str:
    (one,) = control.remembered(control.folder(Path("runs"), NAME))
    return one


def restarts(number: str) -> int:
    fields = dict(word.split("=", 1) for word in slurm("scontrol", "show", "job", number).split() if "=" in word)
    return int(fields["Restarts"])


def every_cell_was_run_once() -> None:
    rows = queue().rows
    assert [(row.state, row.attempts) for row in rows] == [(State.COMPLETE, 1)] * CELLS, logs()


@pytest.fixture(autouse=True)
def empty_cluster() -> Iterator[None]:
    """Nothing runs before a test, nor after it."""
    yield
    for partition in ("gpu", "scavenge", "urgent"):
        slurm("scancel", f"--partition={partition}")
    wait_for(lambda: not slurm("squeue", "--noheader"))


def test_an_array_of_two_runs_each_cell_once_on_a_gpu_each(ddsweep: Run) -> None:
    launched = ddsweep("launch", *words(LONG, "gpus=2,time=10"))  # a small cell is over between two looks at it
    assert launched.exit_code == 0, launched.output
    assert f"submitted job {job()}" in launched.stdout
    gpus: set[str] = set()
    shown = ""

    def ended() -> bool:
        nonlocal shown
        gpus.update(visible())
        if running():
            shown += ddsweep("status", NAME).stdout
        return drained()

    wait_for(ended)
    every_cell_was_run_once()
    assert gpus == {"0", "1"}
    assert f" · {job()}_" in shown and f"slurm {job()}   " in shown
    assert len(list(Path("runs").glob("*/result.json"))) == CELLS


def test_a_launch_that_watches_ends_with_the_table(ddsweep: Run) -> None:
    launched = ddsweep("launch", *words(SMALL, "gpus=0,agents=2,cpus=1,time=10"), "--watch")
    assert launched.exit_code == 0, launched.output
    assert f"done {CELLS}/{CELLS}   running 0   failed 0" in launched.stdout
    assert "vs baseline" in launched.stdout


def test_launchers_contract() -> None:
    """As in ``tests/launchers/test_contract.py``."""
    from ddsweep import sweep
    from ddsweep.backends import Definition

    write_profile(*SMALL)
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 10, 100]})
    storage = f"sqlite:///{Path('runs/ddsweep.db').absolute()}"
    connect(storage).sweep(NAME).register(Definition.of(one))
    launcher = SlurmLauncher(Job(NAME, Path("runs").absolute(), storage, 0), request.parse("time=10"), "cpu")
    launcher.stop()
    assert launcher.poll() == 0
    launcher.start()
    wait_for(lambda: not launcher.poll())
    assert launcher.closed() == []
    every_cell_was_run_once()
    launcher.stop()
    assert launcher.poll() == 0


def test_preempted_by_a_partition_of_higher_priority(ddsweep: Run) -> None:
    ddsweep("launch", *words(LONG, "time=10"))
    wait_for(running)
    urgent = slurm("sbatch", "--parsable", "--partition=urgent", "--gpus-per-node=2", "--wrap", "sleep 2").strip()
    wait_for(lambda: control.scheduled([urgent]) and control.scheduled([urgent])[0].state == "RUNNING")
    assert queue().count(State.RUNNING) == 0  # given back, not left to its lease
    wait_for(drained)
    every_cell_was_run_once()
    assert restarts(job()) == 1


def test_a_time_limit_returns_the_cell_and_queues_the_task_again(ddsweep: Run) -> None:
    """The signal that Slurm sends ahead of a limit, without the minute that the shortest limit takes."""
    ddsweep("launch", *words(LONG, "time=10"))
    wait_for(running)
    slurm("scancel", "--batch", "--signal=USR2", job())
    wait_for(lambda: restarts(job()) == 1)
    wait_for(drained)
    every_cell_was_run_once()
    assert "Caught signal SIGUSR2" in logs()


def test_cancelled_jobs_give_back_and_stay_away(ddsweep: Run) -> None:
    ddsweep("launch", *words(LONG, "gpus=2,time=10"))
    wait_for(running)
    slurm("scancel", job())
    wait_for(lambda: not control.scheduled([job()]))
    assert queue().count(State.RUNNING) == 0
    assert not drained()


def test_killed_outright_the_lease_is_taken_over(ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDSWEEP_LEASE", "1,10")
    ddsweep("launch", *words(LONG, "time=10"))
    wait_for(running)
    for process in [*processes(b"submitit.core._submit"), *processes(b"agent")]:  # scancel would be polite at first
        os.kill(int(process.name), signal.SIGKILL)
    wait_for(lambda: not control.scheduled([job()]))
    (left,) = [row for row in queue().rows if row.state is State.RUNNING]
    assert "has ended; its cell is claimed until the lease expires" in ddsweep("status", NAME).stdout
    again = ddsweep("launch", *words(LONG, "gpus=2,time=10"))
    assert again.exit_code == 0, again.output
    wait_for(drained)
    assert {row.point.id: row.lost for row in queue().rows if row.lost} == {left.point.id: 1}
    assert {row.attempts for row in queue().rows} == {1}
    assert queue().count(State.COMPLETE) == CELLS


def test_a_gpu_that_is_none_is_told(ddsweep: Run) -> None:
    launched = ddsweep("launch", *[word for word in words(SMALL, "time=10") if word not in ("--device", "cpu")])
    assert launched.exit_code == 0, launched.output
    wait_for(lambda: not control.scheduled([job()]))
    assert f"closed  {job()} " in ddsweep("status", NAME).stdout
    assert not drained()


def preempt() -> None:
    """Let a job of higher priority take all GPUs for two seconds."""
    urgent = slurm("sbatch", "--parsable", "--partition=urgent", "--gpus-per-node=2", "--wrap", "sleep 2").strip()
    wait_for(lambda: control.scheduled([urgent]) and control.scheduled([urgent])[0].state == "RUNNING")


def scavenging(asked: str) -> list[str]:
    """As ``words``, in the partition whose jobs are canceled when they are preempted (``PreemptMode=CANCEL``)."""
    return [word.replace("partition=gpu", "partition=scavenge") for word in words(LONG, asked)]


def test_preempted_and_canceled_the_sweep_says_that_nobody_works_on_it(ddsweep: Run) -> None:
    ddsweep("launch", *scavenging("gpus=2,time=10"))
    wait_for(running)
    assert "no agent" not in ddsweep("status", NAME).stdout
    preempt()
    wait_for(lambda: not control.scheduled([job()]))
    assert [row.attempts for row in queue().rows if row.state is not State.COMPLETE] != []
    assert queue().count(State.RUNNING) == 0  # given back, not left to its lease
    said = ddsweep("status", NAME).stdout
    assert f"slurm {job()} has ended (preempted at " in said, said + logs()
    assert "and no agent" in said
    (line,) = [line for line in said.splitlines() if "to submit it again, type:" in line]
    program, *typed = shlex.split(line.partition("type:")[2])
    assert program == "ddsweep"
    again = ddsweep(*typed)
    assert again.exit_code == 0, again.output
    wait_for(drained)
    every_cell_was_run_once()
    assert "and no agent" not in ddsweep("status", NAME).stdout


def test_a_launch_that_watches_submits_preempted_agents_again() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ddsweep", "launch", *scavenging("time=10"), "--watch"],
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for(running)
    preempt()
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert "preempted: the agents are submitted again" in said
    assert f"done {CELLS}/{CELLS}" in said
    every_cell_was_run_once()


def test_a_launch_that_watches_leaves_canceled_agents_alone() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ddsweep", "launch", *scavenging("time=10"), "--watch"],
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for(running)
    slurm("scancel", job())
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, said
    assert "submitted again" not in said
    assert len(control.remembered(control.folder(Path("runs"), NAME))) == 1
