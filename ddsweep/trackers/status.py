"""What an agent is doing now: a small file that ``status`` and ``launch`` read. Agents never draw.

The same travels through the storage (``backends.Queue.report``), for hosts that do not share the runs folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import files
from ddsweep.errors import UserError
from ddsweep.trackers import Tracker

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result

INTERVAL = 0.5  # seconds between two writings of the file
SILENT = 300  # seconds without a word after which an agent is no longer shown
DAY = 86400  # the same for a file of another host, whose clock may be hours away from ours


def folder(runs: Path, sweep: str) -> Path:
    """Where the agents of a sweep write what they are doing."""
    return runs / sweep / "agents"


def slurm_task() -> str:
    """The task of Slurm's that this process runs in, as squeue calls it (``4711_0``); empty: none."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID", "")


@dataclass
class AgentStatus:
    """One agent as others see it.

    Attributes:
        agent: its name, HOST:PID.
        slot: the device it works on.
        sweep: the sweep it works for.
        cell: title of the cell in hand; empty between two.
        phase: ``pretrain …``, ``distill``, ``evaluate …``, ``waiting`` or ``paused: …``.
        done: steps of the phase that are done.
        total: steps of the phase.
        rate: steps per second in this phase.
        updated: when this was written, seconds since the epoch on the agent's clock.
        job: the task of Slurm's that it runs in, ``4711_0``; empty: none.
        host: where it runs.
        images_per_second: images of the last logged steps, real and synthetic; 0: unknown.
        gpu_memory_gb: the most that this process has had on its GPU, in 10⁹ bytes; 0: unknown, or no GPU.
        age: seconds since it was heard of; known to who reads this, not to the agent.
    """

    agent: str
    slot: str
    sweep: str
    cell: str = ""
    phase: str = "starting"
    done: int = 0
    total: int = 0
    rate: float = 0.0
    updated: float = 0.0
    job: str = field(default_factory=slurm_task)
    host: str = field(default_factory=socket.gethostname)
    images_per_second: float = 0.0
    gpu_memory_gb: float = 0.0
    age: float = 0.0


class StatusTracker(Tracker):
    """Keeps one file up to date while an agent lives. On a full disk it lags behind, and nobody is the worse for it.

    Attributes:
        status: what the file says.
    """

    def __init__(self, place: Path, status: AgentStatus) -> None:
        self._path = place / f"{status.agent.replace(':', '-')}.json"
        self.status = status
        self._phase_began = (time.monotonic(), 0)
        self._written = 0.0

    def start(self, recipe: Recipe) -> None:
        """A cell was taken up."""
        self.status.images_per_second = 0.0
        self._show("starting", 0, 0, cell=recipe.title())

    def progress(self, phase: str, done: int, total: int) -> None:
        """Show the step; the rate is measured within the phase."""
        self._show(phase, done, total, cell=self.status.cell)

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Keep what others like to see; it is shown with the next step."""
        self.status.images_per_second = metrics.get("images_per_second", 0.0)
        self.status.gpu_memory_gb = metrics.get("gpu_memory_gb", 0.0)

    def show(self, phase: str, cell: str = "") -> None:
        """What the agent does when it is not at a trial."""
        self._show(phase, 0, 0, cell)

    def finish(self, result: Result) -> None:
        """The cell is done."""
        self.idle()

    def idle(self) -> None:
        """Nothing to do at the moment."""
        self._show("waiting", 0, 0, cell="")

    def close(self) -> None:
        """The agent leaves."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _show(self, phase: str, done: int, total: int, cell: str) -> None:
        now, status = time.monotonic(), self.status
        changed = (phase, cell) != (status.phase, status.cell)
        if changed:
            self._phase_began = (now, done)
        began, first = self._phase_began
        status.phase, status.cell, status.done, status.total = phase, cell, done, total
        status.rate = (done - first) / (now - began) if now > began else 0.0
        if not changed and now - self._written < INTERVAL:
            return
        self._written, status.updated = now, time.time()
        with contextlib.suppress(UserError):
            files.write_json(self._path, asdict(status))


def clear(place: Path) -> None:
    """Remove the files of agents of this host that were killed, and what they had not finished writing."""
    ours = re.compile(rf"\.?{re.escape(socket.gethostname())}-(\d+)\.json")
    for path in place.glob("*.json"):
        found = ours.match(path.name)
        if found and not _alive(int(found[1])):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def read_all(place: Path) -> list[AgentStatus]:
    """Every agent with a file that was heard of lately."""
    found = []
    for path in sorted(place.glob("[!.]*.json")):  # a file that is just being written begins with a dot
        try:
            status = _parsed(files.read_json(path))
        except (UserError, TypeError):  # gone between listing and reading, or another version's
            continue
        status.age = max(0.0, time.time() - status.updated)
        if status.age < (SILENT if status.host == socket.gethostname() else DAY):
            found.append(status)
    return found


def merged(reported: Iterable[tuple[Mapping[str, Any], float]], written: Iterable[AgentStatus]) -> list[AgentStatus]:
    """The agents of all hosts, by name.

    Args:
        reported: what the storage has of each agent, and how many seconds ago that came, by the storage's clock: so
            a host with a wrong clock neither hides its agents nor keeps them alive.
        written: what the files say, which are newer where there are any.
    """
    files_of, found = {status.agent: status for status in written}, []
    for values, age in reported:
        if age < SILENT:
            status = _parsed(values)
            newer = files_of.get(status.agent)
            near = newer is not None and newer.host == socket.gethostname()
            found.append(replace(newer or status, age=min(age, newer.age) if newer and near else age))
    return sorted(found, key=lambda status: (status.host, status.slot, status.agent))


def _parsed(values: Mapping[str, Any]) -> AgentStatus:
    """A status; what another version says beside is left out."""
    known = {one.name for one in fields(AgentStatus)}
    return AgentStatus(**{key: value for key, value in values.items() if key in known})
