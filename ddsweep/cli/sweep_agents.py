"""The agents of a sweep on all hosts, if its backend records them (Optuna does; W&B keeps them to itself)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ddsweep import text
from ddsweep.backends import State
from ddsweep.trackers import status as written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ddsweep.backends import Backend, Seen, Status
    from ddsweep.launchers import Launcher
    from ddsweep.trackers.status import AgentStatus

STOPPING = {
    "drain": "stopping: agents finish their cells",
    "now": "stopping: agents return their cells to the queue",
    "": "",
}


@runtime_checkable
class HasAgents(Protocol):
    """The methods of ``backends.Queue`` that concern agents."""

    def agents(self) -> list[Seen]:
        """Every agent that has reported and has not stopped."""

    def ask_to_stop(self, mode: str) -> None:
        """Ask every agent to stop."""

    def stop_asked(self) -> str:
        """The mode in which the agents were asked to stop; empty if they were not."""


def reported(backend: Backend) -> list[Seen] | None:
    """The agents' reports in the storage; None if the backend records none."""
    return backend.agents() if isinstance(backend, HasAgents) else None


def agents(reported: Sequence[Seen] | None, folder: Path) -> list[AgentStatus]:
    """Every agent, updated from its status file if that is in this runs folder."""
    files = written.read_all(folder)
    return files if reported is None else written.merged(((one.status, one.age) for one in reported), files)


def of(backend: Backend, runs: Path, sweep: str) -> list[AgentStatus]:
    """Every agent of a sweep at this moment."""
    return agents(reported(backend), written.folder(runs, sweep))


def ask_to_stop(backend: Backend, mode: str) -> bool:
    """Ask every agent to stop: ``drain``, ``now``, or ``""`` to withdraw the request; False if the backend cannot."""
    if not isinstance(backend, HasAgents):
        return False
    backend.ask_to_stop(mode)
    return True


def stop_asked(backend: Backend) -> str:
    """The mode in which the agents were asked to stop: ``drain``, ``now`` or ``""``."""
    return backend.stop_asked() if isinstance(backend, HasAgents) else ""


def stopping(backend: Backend, agents: Sequence[AgentStatus]) -> str:
    """A line on a request to stop; empty if there is none."""
    asked = stop_asked(backend)
    return STOPPING[asked] if agents or not asked else "stopped on request"


def left(backend: Backend, status: Status, launcher: Launcher) -> str:
    """A line on why a launch ended before its queue was empty; empty if it was."""
    if status.drained:
        return ""
    rest, running = status.size - status.ended, status.count(State.RUNNING)
    cells = f"{text.plural(rest, 'cell')} left, {running} of them running on other agents"
    if stop_asked(backend):
        return f"stopped on request: {cells}"
    return f"no agent is left on this machine, every slot was closed: {cells}" if launcher.closed() else cells
