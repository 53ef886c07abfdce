"""Launchers start agents and see to it that none outlives them. All of them run the same agent command."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ddsweep.trackers import status


@dataclass(frozen=True)
class Job:
    """What every agent of a launch is told.

    Attributes:
        sweep: ``NAME@PROFILE``, registered in the storage.
        runs: the folder of all runs.
        storage: the storage's URL; travels in the environment, for it may hold a password.
        threads: CPU threads per agent; 0: what the process has.
        backend: whose queue it is, ``optuna`` or ``wandb``.
        track: where trials tell what they do beside the queue; ``wandb`` is the only further destination.
        project: the W&B project, where W&B is one of the two.
        entity: its owner on W&B; empty: the account's default.
    """

    sweep: str
    runs: Path
    storage: str = field(repr=False)
    threads: int
    backend: str = "optuna"
    track: tuple[str, ...] = ()
    project: str = ""
    entity: str = ""

    @property
    def folder(self) -> Path:
        """Status files and logs of the agents."""
        return status.folder(self.runs, self.sweep)

    def command(self) -> list[str]:
        """How ``ddsweep agent`` is told all of this, without the device and without the storage (it may be secret)."""
        words = [sys.executable, "-m", "ddsweep", "agent", self.sweep, "--runs", str(self.runs)]
        words += ["--threads", str(self.threads), "--backend", self.backend]
        words += [f"--track={one}" for one in self.track]
        return words + [f"--{name}={value}" for name in ("project", "entity") if (value := getattr(self, name))]


class Launcher(Protocol):
    """Keeps one agent alive per slot.

    A slot is a device, or a part of one (``device.Slot``). An agent that ends with status 0 has found the queue drained
    or was asked to leave; one that dies is replaced. A slot whose agents keep dying, or on which different cells fail
    one after the other, is closed, so that a bad device does not burn the queue.
    """

    def start(self) -> None:
        """Start an agent on every slot."""

    def poll(self) -> int:
        """Replace what died; the number of slots that still have an agent."""

    def stop(self) -> None:
        """Ask every agent to give its cell back and leave; end those that do not."""

    def closed(self) -> list[str]:
        """Slots that were closed, each with the reason and where to read more."""
