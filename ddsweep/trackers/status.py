"""What an agent is doing now: a small file that ``status`` and ``launch`` read. Agents never draw."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import files
from ddsweep.errors import UserError
from ddsweep.trackers.null import NullTracker

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result

INTERVAL = 0.5  # seconds between two writings of the file
SILENT = 300  # seconds without a word after which an agent is no longer shown


def folder(runs: Path, sweep: str) -> Path:
    """Where the agents of a sweep write what they are doing."""
    return runs / sweep / "agents"


@dataclass
class AgentStatus:
    """One agent as others see it.

    Attributes:
        agent: its name, HOST:PID.
        slot: the device it works on.
        sweep: the sweep it works for.
        cell: title of the cell in hand; empty between two.
        phase: ``pretrain …``, ``distill``, ``evaluate`` or ``waiting``.
        done: steps of the phase that are done.
        total: steps of the phase.
        rate: steps per second in this phase.
        updated: when this was written, seconds since the epoch on the agent's clock.
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


class StatusTracker(NullTracker):
    """Keeps one file up to date while an agent lives."""

    def __init__(self, place: Path, status: AgentStatus) -> None:
        self._path = place / f"{status.agent.replace(':', '-')}.json"
        self._status = status
        self._phase_began = (time.monotonic(), 0)
        self._written = 0.0

    def start(self, recipe: Recipe) -> None:
        """A cell was taken up."""
        self._show("starting", 0, 0, cell=recipe.title())

    def progress(self, phase: str, done: int, total: int) -> None:
        """Show the step; the rate is measured within the phase."""
        self._show(phase, done, total, cell=self._status.cell)

    def finish(self, result: Result) -> None:
        """The cell is done."""
        self.idle()

    def idle(self) -> None:
        """Nothing to do at the moment."""
        self._show("waiting", 0, 0, cell="")

    def close(self) -> None:
        """The agent leaves."""
        self._path.unlink(missing_ok=True)

    def _show(self, phase: str, done: int, total: int, cell: str) -> None:
        now, status = time.monotonic(), self._status
        changed = (phase, cell) != (status.phase, status.cell)
        if changed:
            self._phase_began = (now, done)
        began, first = self._phase_began
        status.phase, status.cell, status.done, status.total = phase, cell, done, total
        status.rate = (done - first) / (now - began) if now > began else 0.0
        if not changed and now - self._written < INTERVAL:
            return
        self._written, status.updated = now, time.time()
        files.write_json(self._path, asdict(status))


def read_all(place: Path) -> list[AgentStatus]:
    """Every agent that was heard of lately."""
    found = []
    for path in sorted(place.glob("[!.]*.json")):  # a file that is just being written begins with a dot
        try:
            status = AgentStatus(**files.read_json(path))
        except (UserError, TypeError):  # gone between listing and reading, or another version's
            continue
        if time.time() - status.updated < SILENT:
            found.append(status)
    return found
