"""What we ask Slurm's own programs. They know who is scheduled; who holds a cell our leases know."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import files
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from ddsweep.trackers.status import AgentStatus

ANSWER = 30.0  # seconds a busy controller may take
GONE = "Invalid job id"  # squeue's and scancel's words for a job that has ended some minutes ago


@dataclass(frozen=True)
class Scheduled:
    """A task of an array that Slurm knows.

    Attributes:
        id: ``4711_0``.
        state: ``RUNNING``, ``PENDING``, ``COMPLETING``, …
        reason: why it waits (``Resources``).
    """

    id: str
    state: str
    reason: str


def folder(runs: Path, sweep: str) -> Path:
    """Scripts, logs and job ids of what was submitted for a sweep."""
    return runs / sweep / "slurm"


def remember(place: Path, job: str, tasks: int) -> None:
    """Note that ``job``, an array of so many tasks, was submitted."""
    files.write_json(place / f"{job}.json", {"job": job, "tasks": tasks})


def remembered(place: Path) -> list[str]:
    """Ids of the jobs that were submitted, oldest first."""
    return sorted((path.stem for path in place.glob("*.json") if path.stem.isdecimal()), key=int)


def ask(*command: str) -> str:
    """The answer of one of Slurm's programs; empty when the job is gone.

    Raises:
        UserError: it is not installed, or Slurm does not answer.
    """
    if shutil.which(command[0]) is None:
        raise UserError(f"slurm: this machine has no {command[0]}; work on a login node of the cluster")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ANSWER)
    except subprocess.TimeoutExpired:
        raise UserError(f"slurm: {command[0]} does not answer") from None
    if done.returncode and GONE not in done.stderr:
        raise UserError(f"slurm: {command[0]}: {reason(done.stderr)}")
    return done.stdout


def reason(text: str) -> str:
    """What a program said, without its name before every line."""
    lines = [line.split("error: ")[-1].strip() for line in text.splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line)) or "said nothing"


def scheduled(jobs: Sequence[str]) -> list[Scheduled]:
    """The tasks of ``jobs`` that run or wait. Raises UserError when Slurm does not answer."""
    if not jobs:
        return []
    answer = ask("squeue", "--noheader", "--array", f"--jobs={','.join(jobs)}", "--format=%i|%T|%r")
    return [Scheduled(*line.strip().split("|", 2)) for line in answer.splitlines()]


def listed(place: Path) -> list[dict[str, str]] | None:
    """The tasks of a sweep for scripts; None when Slurm does not answer here."""
    try:
        return [asdict(task) for task in scheduled(remembered(place))]
    except UserError:
        return None


def cancel(job: str) -> None:
    """End a job: TERM to its agents, KILL after the cluster's KillWait. Raises UserError when Slurm does not answer."""
    ask("scancel", job)


def nodes(partition: str = "", nodelist: str = "") -> set[str]:
    """Names of the nodes of a partition (the default one). Raises UserError when Slurm does not answer."""
    where = [*([f"--partition={partition}"] if partition else []), *([f"--nodes={nodelist}"] if nodelist else [])]
    return set(ask("sinfo", "--noheader", "--Node", "--format=%N", *where).split())


def still_running() -> bool:
    """Whether Slurm means to go on with the job that we are in: false once it was cancelled or requeued."""
    try:
        return ask("squeue", "--noheader", f"--jobs={os.environ['SLURM_JOB_ID']}", "--format=%T").strip() == "RUNNING"
    except UserError:
        return False


def closed(place: Path, job: str) -> list[str]:
    """Tasks of a job that gave up, each with the reason."""
    notes = sorted(place.glob(f"{job}_*.closed")) + sorted(place.glob(f"{job}.closed"))
    return [f"{note.stem} {line}" for note in notes for line in note.read_text(encoding="utf-8").splitlines()]


def joined(place: Path, agents: Iterable[AgentStatus]) -> list[str]:
    """What Slurm says about a sweep beside its leases, a line each; nothing for one that was never submitted.

    A cell whose agent's task has left Slurm still belongs to it until the lease runs out: that is said here.
    """
    jobs = remembered(place)
    if not jobs:
        return []
    try:
        tasks = scheduled(jobs)
    except UserError as error:
        return [str(error)]
    there = {task.id for task in tasks}
    lost = [agent for agent in agents if agent.job.split("_")[0] in jobs and agent.job not in there and agent.cell]
    told = [f"slurm {agent.job}   has ended; its cell waits for the end of its lease: {agent.cell}" for agent in lost]
    return summary(tasks) + told + [f"closed  {line}" for line in closed(place, jobs[-1])]


def summary(tasks: Iterable[Scheduled]) -> list[str]:
    """A line per job: ``slurm 4711   2 running, 5 pending (Resources)``."""
    jobs: dict[str, list[Scheduled]] = {}
    for task in tasks:
        jobs.setdefault(task.id.split("_")[0], []).append(task)
    lines = []
    for job, members in jobs.items():
        states = Counter(task.state.lower() for task in members)
        waits = dict.fromkeys(task.reason for task in members if task.state == "PENDING")
        why = f" ({', '.join(waits)})" if waits else ""
        told = [f"{count} {state}{why if state == 'pending' else ''}" for state, count in states.items()]
        lines.append(f"slurm {job}   {', '.join(told)}")
    return lines
