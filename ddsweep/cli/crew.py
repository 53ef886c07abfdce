"""The agents of a sweep on all hosts, where its backend hears of them (ours does; W&B keeps its own books)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ddsweep.backends import State
from ddsweep.trackers import status as written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ddsweep.backends import Backend, Seen, Status
    from ddsweep.launchers import Launcher
    from ddsweep.trackers.status import AgentStatus

STOPPING = {
    "drain": "stopping: agents leave when their cell is done",
    "now": "stopping: agents give their cells back",
    "": "",
}


@runtime_checkable
class Crewed(Protocol):
    """The part of ``backends.Queue`` that is about agents."""

    def agents(self) -> list[Seen]:
        """Every agent that reported and did not leave."""

    def ask_to_stop(self, mode: str) -> None:
        """Ask every agent to leave."""

    def stop_asked(self) -> str:
        """What they were asked."""


def reported(backend: Backend) -> list[Seen] | None:
    """What the storage has heard of agents; None: it does not listen."""
    return backend.agents() if isinstance(backend, Crewed) else None


def agents(reported: Sequence[Seen] | None, folder: Path) -> list[AgentStatus]:
    """Every agent, with the news of its file where that is in our runs folder."""
    files = written.read_all(folder)
    return files if reported is None else written.merged(((one.status, one.age) for one in reported), files)


def of(backend: Backend, runs: Path, sweep: str) -> list[AgentStatus]:
    """Every agent of a sweep, as of now."""
    return agents(reported(backend), written.folder(runs, sweep))


def ask_to_stop(backend: Backend, mode: str) -> bool:
    """``drain``, ``now`` or ``""``; False if this backend's agents cannot be asked."""
    if not isinstance(backend, Crewed):
        return False
    backend.ask_to_stop(mode)
    return True


def stop_asked(backend: Backend) -> str:
    """``drain``, ``now`` or ``""``."""
    return backend.stop_asked() if isinstance(backend, Crewed) else ""


def stopping(backend: Backend, agents: Sequence[AgentStatus]) -> str:
    """Whether these agents were asked to stop, for people; empty if not."""
    asked = stop_asked(backend)
    return STOPPING[asked] if agents or not asked else "stopped as asked"


def left(backend: Backend, status: Status, launcher: Launcher) -> str:
    """Why a launch ends before its queue is drained, in a line; empty if it is."""
    if status.drained:
        return ""
    rest, running = status.size - status.ended, status.count(State.RUNNING)
    cells = f"{rest} cell{'s' * (rest != 1)} left, {running} of them with agents elsewhere"
    if stop_asked(backend):
        return f"stopped as asked: {cells}"
    return f"no agent is left here, every slot was closed: {cells}" if launcher.closed() else cells
