"""Launchers start agents and ensure that none outlives them. All of them run the same agent command."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ddsweep import processes
from ddsweep.trackers import status


@dataclass(frozen=True)
class Job:
    """The settings that every agent of a launch receives.

    Attributes:
        sweep: ``NAME@PROFILE``, as registered in the storage.
        runs: the folder that holds all runs.
        storage: the storage URL, passed in the environment because it may contain a password.
        threads: CPU threads per agent; 0 for those of the process.
        backend: the backend that holds the queue, ``optuna`` or ``wandb``.
        track: further trackers to log trials to: ``wandb``, and those of plugins.
        project: the W&B project, if W&B is the backend or a tracker.
        entity: the owner of the project on W&B; empty for the account's default.
        group: the most cells that an agent runs as a group; 0: the default of its device.
        agents: the number of agents of the launch, which share the cells.
        sees_folder: whether agents import modules from the working folder; default: if this process does.
    """

    sweep: str
    runs: Path
    storage: str = field(repr=False)
    threads: int
    backend: str = "optuna"
    track: tuple[str, ...] = ()
    project: str = ""
    entity: str = ""
    group: int = 0
    agents: int = 1
    sees_folder: bool = field(default_factory=processes.sees_working_folder)

    @property
    def folder(self) -> Path:
        """The folder with the status files and logs of the agents."""
        return status.folder(self.runs, self.sweep)

    def command(self) -> list[str]:
        """The ``ddsweep agent`` command, without the device and without the storage (which may be secret)."""
        words = [*processes.command(self.sees_folder), "agent", self.sweep, "--runs", str(self.runs)]
        words += ["--threads", str(self.threads), "--backend", self.backend]
        words += [f"--track={tracker}" for tracker in self.track]
        words += [f"--group={self.group}"] if self.group else []
        words += [f"--agents={self.agents}"] if self.agents > 1 else []
        return words + [f"--{name}={value}" for name in ("project", "entity") if (value := getattr(self, name))]


class Launcher(Protocol):
    """Keeps one agent alive per slot.

    A slot is a device, or a part of one (``device.Slot``). An agent that exits with status 0 has found the queue empty
    or was asked to stop; one that dies is replaced. A slot whose agents keep dying, or on which different cells fail
    in a row, is closed, so that a bad device does not use up the attempts of the queue.
    """

    def start(self) -> None:
        """Start an agent on every slot."""

    def poll(self) -> int:
        """Replace agents that died; return the number of slots that still have an agent."""

    def stop(self) -> None:
        """Ask every agent to return its cell to the queue and stop; kill those that do not."""

    def closed(self) -> list[str]:
        """The slots that were closed, each with the reason and the path of its log."""
