"""Run Slurm's programs, which know the state of jobs; the leases say which agent has a cell."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import files, text
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from ddsweep.trackers.status import AgentStatus

ANSWER = 30.0  # seconds for a busy controller to answer
PREEMPTED = "preempted"
GONE = "Invalid job id"  # the error of squeue and scancel for a job that ended some minutes ago


@dataclass(frozen=True)
class Scheduled:
    """A task of a job array that Slurm still lists.

    Attributes:
        id: ``4711_0``.
        state: ``RUNNING``, ``PENDING``, ``COMPLETING``, …
        reason: why it is pending (``Resources``).
    """

    id: str
    state: str
    reason: str


def folder(runs: Path, sweep: str) -> Path:
    """The folder with the scripts, logs and job ids of a sweep's submissions."""
    return runs / sweep / "slurm"


def remember(place: Path, job: str, tasks: int, command: str = "") -> None:
    """Record a submitted job array, its number of tasks, and the command that has submitted it."""
    files.write_json(place / f"{job}.json", {"job": job, "tasks": tasks, "command": command})


def remembered(place: Path) -> list[str]:
    """The ids of the submitted jobs, oldest first."""
    return sorted((path.stem for path in place.glob("*.json") if path.stem.isdecimal()), key=int)


def ask(*command: str) -> str:
    """The output of one of Slurm's programs; empty if the job is gone.

    Raises:
        UserError: the program is not installed, or Slurm does not answer.
    """
    if shutil.which(command[0]) is None:
        raise UserError(
            f"slurm: {command[0]} is not installed on this machine; run ddsweep on a login node of the cluster"
        )
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=ANSWER
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"slurm: {command[0]} does not answer") from None
    if done.returncode and GONE not in done.stderr:
        raise UserError(f"slurm: {command[0]}: {reason(done.stderr)}")
    return done.stdout


def reason(message: str) -> str:
    """A program's error message, without its name in front of every line."""
    lines = [line.split("error: ")[-1].strip() for line in message.splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line)) or "no error message"


def scheduled(jobs: Sequence[str]) -> list[Scheduled]:
    """The running and pending tasks of ``jobs``. Raises UserError if Slurm does not answer."""
    if not jobs:
        return []
    answer = ask("squeue", "--noheader", "--array", f"--jobs={','.join(jobs)}", "--format=%i|%T|%r")
    return [Scheduled(*line.strip().split("|", 2)) for line in answer.splitlines()]


def listed(place: Path) -> list[dict[str, str]] | None:
    """The tasks of a sweep as JSON; None if Slurm does not answer."""
    try:
        return [asdict(task) for task in scheduled(remembered(place))]
    except UserError:
        return None


def cancel(job: str) -> None:
    """Cancel a job: its agents get SIGTERM, and SIGKILL after the cluster's KillWait.

    Raises:
        UserError: Slurm does not answer.
    """
    ask("scancel", job)


def nodes(partition: str = "", nodelist: str = "") -> set[str]:
    """The names of a partition's nodes (by default all nodes). Raises UserError if Slurm does not answer."""
    where = [*([f"--partition={partition}"] if partition else []), *([f"--nodes={nodelist}"] if nodelist else [])]
    return set(ask("sinfo", "--noheader", "--Node", "--format=%N", *where).split())


def still_running() -> bool:
    """Whether Slurm still runs the job of this process; false once it was canceled or requeued."""
    try:
        return ask("squeue", "--noheader", f"--jobs={os.environ['SLURM_JOB_ID']}", "--format=%T").strip() == "RUNNING"
    except UserError:
        return False


def preempted() -> bool:
    """Whether Slurm ends the job of this process to make room for another one; False if the user has canceled it.

    In both cases the job gets SIGTERM, and it depends on the cluster's ``PreemptMode`` whether Slurm requeues it.
    """
    try:
        answer = ask("scontrol", "--oneliner", "show", "job", os.environ["SLURM_JOB_ID"])
    except (UserError, KeyError):
        return False
    times = [word.partition("=")[2] for word in answer.split() if word.startswith("PreemptTime=")]
    return any(time not in ("None", "Unknown", "") for time in times)


def note_end(place: Path, task: str, reason: str) -> None:
    """Record why a task has ended although cells are left; Slurm itself forgets it after some minutes."""
    files.write_json(place / f"{task}.ended", {"reason": reason, "at": datetime.now(UTC).isoformat(timespec="seconds")})


def forget_end(place: Path, task: str) -> None:
    """Remove what ``note_end`` has recorded: Slurm has started the task again."""
    (place / f"{task}.ended").unlink(missing_ok=True)


def noted(place: Path) -> set[str]:
    """The tasks of which ``note_end`` has recorded something."""
    return {path.stem for path in place.glob("*.ended")}


def ended(place: Path, job: str) -> dict[str, str]:
    """Why tasks of a job have ended early, and when the last one did for each reason (empty: unknown).

    Their own notes say it, and for some minutes Slurm, if they were killed before they could write one.
    """
    found: dict[str, str] = {}
    for path in sorted(place.glob(f"{job}_*.ended")) + sorted(place.glob(f"{job}.ended")):
        with contextlib.suppress(UserError, KeyError, TypeError, ValueError):  # damaged or of another version
            note = files.read_json(path)
            at = text.moment(datetime.fromisoformat(note["at"]))
            found[note["reason"]] = max(found.get(note["reason"], ""), at)
    with contextlib.suppress(UserError):
        if PREEMPTED not in found and "JobState=PREEMPTED" in ask("scontrol", "--oneliner", "show", "job", job):
            found[PREEMPTED] = ""
    return found


def abandoned(place: Path, agents: Sequence[AgentStatus], left: int) -> list[str]:
    """That cells are left but nobody works on them, because the array has ended; and the command that resubmits it.

    Args:
        place: the folder of the sweep's submissions.
        agents: the agents of the sweep, on all hosts.
        left: the number of cells that have not ended.
    """
    jobs = remembered(place)
    if not jobs or not left:
        return []
    try:
        listed_ids = {task.id for task in scheduled(jobs)}
    except UserError:
        return []
    if listed_ids or any(agent.job.split("_")[0] not in jobs for agent in agents):
        return []
    why = [f"{reason} at {when}" if when else reason for reason, when in ended(place, jobs[-1]).items()]
    cells = f"{text.plural(left, 'cell')} left, and no agent"
    reasons = f" ({', '.join(why)})" if why else ""
    lines = [f"slurm {jobs[-1]} has ended{reasons}: {cells}"]
    try:
        command = files.read_json(place / f"{jobs[-1]}.json").get("command", "")
    except UserError:
        command = ""
    return [*lines, f"to submit it again, type:  {command}"] if command else lines


def closed(place: Path, job: str) -> list[str]:
    """The tasks of a job that gave up, with the reasons."""
    notes = sorted(place.glob(f"{job}_*.closed")) + sorted(place.glob(f"{job}.closed"))
    return [f"{note.stem} {line}" for note in notes for line in note.read_text(encoding="utf-8").splitlines()]


def joined(place: Path, agents: Iterable[AgentStatus]) -> list[str]:
    """The state of a sweep's jobs and agents in Slurm, line by line; nothing if it was never submitted.

    If an agent's task has ended, its cell is still claimed until the lease expires; a line reports this.
    """
    jobs = remembered(place)
    if not jobs:
        return []
    try:
        tasks = scheduled(jobs)
    except UserError as error:
        return [str(error)]
    listed_ids = {task.id for task in tasks}
    lost = [agent for agent in agents if agent.job.split("_")[0] in jobs and agent.job not in listed_ids and agent.cell]
    gone = [
        f"slurm {agent.job}   has ended; its cell is claimed until the lease expires: {agent.cell}" for agent in lost
    ]
    return summary(tasks) + gone + [f"closed  {line}" for line in closed(place, jobs[-1])]


def summary(tasks: Iterable[Scheduled]) -> list[str]:
    """One line per job: ``slurm 4711   2 running, 5 pending (Resources)``."""
    jobs: dict[str, list[Scheduled]] = {}
    for task in tasks:
        jobs.setdefault(task.id.split("_")[0], []).append(task)
    lines = []
    for job, members in jobs.items():
        states = Counter(task.state.lower() for task in members)
        reasons = dict.fromkeys(task.reason for task in members if task.state == "PENDING")
        why = f" ({', '.join(reasons)})" if reasons else ""
        counts = [f"{count} {state}{why if state == 'pending' else ''}" for state, count in states.items()]
        lines.append(f"slurm {job}   {', '.join(counts)}")
    return lines
