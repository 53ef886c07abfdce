"""What an agent is doing: a small file that ``ddsweep status`` and ``launch`` read. Agents print no progress bars.

The storage carries the same status (``backends.Queue.report``) for hosts that do not share the runs folder.
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

from ddsweep import files, processes
from ddsweep.errors import UserError
from ddsweep.trackers import Tracker

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result

INTERVAL = 0.5  # seconds between two writes of the file
SILENT = 300  # seconds without an update after which an agent is no longer shown
DAY = 86400  # the same for the file of another host, whose clock may be hours off


def folder(runs: Path, sweep: str) -> Path:
    """The folder of the status files of a sweep's agents."""
    return runs / sweep / "agents"


def slurm_task() -> str:
    """The Slurm task that this process runs in, as squeue shows it (``4711_0``); empty: none."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID", "")


@dataclass
class AgentStatus:
    """The status of one agent.

    Attributes:
        agent: its name, HOST:PID.
        device: the device it runs on, as people read it.
        sweep: the sweep it works for.
        cell: title of its current cell; empty between two cells.
        phase: ``pretrain …``, ``distill``, ``evaluate …``, ``waiting`` or ``paused: …``.
        done: completed steps of the phase.
        total: all steps of the phase.
        rate: steps per second in this phase.
        updated: when the agent wrote this, seconds since the epoch on the agent's clock.
        job: the Slurm task that it runs in, ``4711_0``; empty: none.
        host: the name of its host.
        images_per_second: real and synthetic images per second of the last logged steps; 0: unknown.
        gpu_memory_gb: peak GPU memory of this process, in 10⁹ bytes; 0: unknown, or no GPU.
        key: key of its current cell, as soon as the trial has begun.
        group: the cells of a group, each as a dictionary of ``CellStatus``; empty: it runs one cell at a time.
        age: seconds since the last update; set by the reader, not by the agent.
    """

    agent: str
    device: str
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
    key: str = ""
    group: list[dict[str, Any]] = field(default_factory=list)
    age: float = 0.0


@dataclass
class CellStatus:
    """The status of one cell of a group.

    Attributes:
        cell: its title.
        key: its key, as soon as its trial has begun.
        phase: as of ``AgentStatus``; ``waiting`` while others of the group compute.
        done: completed steps of the phase.
        total: all steps of the phase.
    """

    cell: str
    key: str = ""
    phase: str = "waiting"
    done: int = 0
    total: int = 0


class StatusTracker(Tracker):
    """Keeps the status file of an agent up to date. On a full disk the file lags behind, without an error.

    Attributes:
        status: the content of the file.
    """

    def __init__(self, place: Path, status: AgentStatus) -> None:
        self._path = place / f"{status.agent.replace(':', '-')}.json"
        self.status = status
        self._phase_began = (time.monotonic(), 0)
        self._written = 0.0

    def describe(self, recipe: Recipe, title: str) -> None:
        """Show the title."""
        self._show("starting", 0, 0, cell=title)

    def start(self, recipe: Recipe) -> None:
        """Show the new cell, by its title within the sweep if the agent has told it."""
        self.status.images_per_second, self.status.key = 0.0, recipe.key()
        self._show("starting", 0, 0, cell=self.status.cell or recipe.title())

    def progress(self, phase: str, done: int, total: int) -> None:
        """Show the step; the rate is measured within the phase."""
        self._show(phase, done, total, cell=self.status.cell)

    def show_step(self, phase: str, done: int, total: int, cell: str) -> None:
        """Show the step of a cell of a group."""
        self._show(phase, done, total, cell)

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Keep the speed and the memory; they are written with the next step."""
        self.status.images_per_second = metrics.get("images_per_second", 0.0)
        self.status.gpu_memory_gb = metrics.get("gpu_memory_gb", 0.0)

    def show(self, phase: str, cell: str = "") -> None:
        """Show what the agent is doing between two trials."""
        self._show(phase, 0, 0, cell)

    def cell(self, title: str) -> CellTracker:
        """A tracker of one cell of a group, which is shown from now on until it is idle."""
        return CellTracker(self, CellStatus(title))

    def finish(self, result: Result) -> None:
        """Show that the agent is idle."""
        self.idle()

    def idle(self) -> None:
        """Show that the agent is waiting for a cell."""
        self._show("waiting", 0, 0, cell="")

    def close(self) -> None:
        """Remove the file: the agent exits."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _show(self, phase: str, done: int, total: int, cell: str) -> None:
        now, status = time.monotonic(), self.status
        changed = (phase, cell) != (status.phase, status.cell)
        if changed:
            self._phase_began = (now, done)
        began, first = self._phase_began
        status.phase, status.cell, status.done, status.total = phase, cell, done, total
        status.key = status.key if cell else ""
        status.rate = (done - first) / (now - began) if now > began else 0.0
        if not changed and now - self._written < INTERVAL:
            return
        self._written, status.updated = now, time.time()
        with contextlib.suppress(UserError, OSError, ValueError):  # ValueError: a name that is not text
            files.write_json(self._path, asdict(status))


class CellTracker(Tracker):
    """Shows one cell of a group in the status of its agent.

    What the agent itself is shown to do is what the last of its cells has reported; of the cells that are distilled in
    lockstep, the first.

    Args:
        agent: the tracker of the agent.
        status: the cell.
    """

    def __init__(self, agent: StatusTracker, status: CellStatus) -> None:
        self._agent, self._shown = agent, asdict(status)
        agent.status.group.append(self._shown)

    def describe(self, recipe: Recipe, title: str) -> None:
        """Show the title."""
        self._shown["cell"] = title

    def start(self, recipe: Recipe) -> None:
        """Show that its trial begins."""
        self._shown["key"] = recipe.key()
        self.show("starting")

    def progress(self, phase: str, done: int, total: int) -> None:
        """Show the step."""
        self._shown.update(phase=phase, done=done, total=total)
        if phase != "distill" or self._leads():
            self._agent.show_step(phase, done, total, self._shown["cell"])

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Keep the speed and the memory."""
        if self._leads():
            self._agent.log(metrics, step)

    def show(self, phase: str, cell: str = "") -> None:
        """Show what becomes of the cell outside of its trial."""
        self.progress(phase, 0, 0)

    def idle(self) -> None:
        """No longer show the cell."""
        group = self._agent.status.group
        group[:] = [one for one in group if one is not self._shown]

    def _leads(self) -> bool:
        return next((one for one in self._agent.status.group if one["phase"] == "distill"), None) is self._shown


def clear(place: Path) -> None:
    """Remove the files of killed agents of this host, including temporary files."""
    pattern = re.compile(rf"\.?{re.escape(socket.gethostname())}-(\d+)\.json")
    for path in place.glob("*.json"):
        match = pattern.match(path.name)
        if match and not processes.exists(int(match[1])):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def read_all(place: Path) -> list[AgentStatus]:
    """The agents whose status files were updated recently."""
    agents = []
    for path in sorted(place.glob("[!.]*.json")):  # a temporary file begins with a dot
        try:
            status = _parsed(files.read_json(path))
        except (UserError, TypeError):  # removed since it was listed, or of another version
            continue
        status.age = max(0.0, time.time() - status.updated)
        if status.age < (SILENT if status.host == socket.gethostname() else DAY):
            agents.append(status)
    return agents


def merged(reported: Iterable[tuple[Mapping[str, Any], float]], written: Iterable[AgentStatus]) -> list[AgentStatus]:
    """The agents of all hosts, from the storage and from status files.

    Args:
        reported: the status of each agent in the storage and its age in seconds by the storage's clock. A host with a
            wrong clock therefore neither hides its agents nor keeps dead ones alive.
        written: the status files, which are newer where they exist.
    """
    files_of, agents = {status.agent: status for status in written}, []
    for values, age in reported:
        if age < SILENT:
            status = _parsed(values)
            newer = files_of.get(status.agent)
            local = newer is not None and newer.host == socket.gethostname()
            agents.append(replace(newer or status, age=min(age, newer.age) if newer and local else age))
    return sorted(agents, key=lambda status: (status.host, status.device, status.agent))


def _parsed(values: Mapping[str, Any]) -> AgentStatus:
    """A status; fields that only another version knows are left out."""
    known = {field.name for field in fields(AgentStatus)}
    return AgentStatus(**{key: value for key, value in values.items() if key in known})
