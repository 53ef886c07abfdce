"""The W&B options of the command line, and the fallback if W&B is unavailable."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ddsweep import again
from ddsweep.errors import UserError, closest
from ddsweep.trackers import choice

if TYPE_CHECKING:
    from collections.abc import Callable

    from ddsweep.backends.wandb.backend import WandbStore
    from ddsweep.launchers import Job

BACKENDS = ("optuna", "wandb")


@dataclass(frozen=True)
class Account:
    """How a launch uses W&B.

    Attributes:
        backend: whose queue assigns the cells, ``optuna`` or ``wandb``.
        track: further trackers of the trials, ``wandb`` or those of plugins, as ``--track`` has them.
        project: the W&B project; empty: ``ddsweep``.
        entity: its owner; empty: the account's default.

    Raises:
        UserError: unknown backend or tracker.
    """

    backend: str = "optuna"
    track: tuple[str, ...] = ()
    project: str = ""
    entity: str = ""

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise UserError(f"backend: unknown backend {self.backend!r}; {closest(self.backend, BACKENDS)}")
        object.__setattr__(self, "track", choice.names(self.track))

    def available(self, report: Callable[[str], None]) -> Account:
        """The same account if W&B is available or not needed; otherwise a fallback, reported in one line.

        In the fallback, the local queue assigns the points, and W&B runs are recorded offline for ``ddsweep sync``
        unless W&B is disabled. The agents inherit the mode through the environment (``WANDB_MODE``).
        """
        if self.backend != "wandb" and "wandb" not in self.track:
            return self
        from ddsweep.trackers import wandb_service

        problem = self.store().available()
        os.environ.pop("WANDB_SERVICE", None)  # the service process of this process; each agent starts its own
        if not problem:
            return self
        if wandb_service.offline_mode() == "disabled":
            report(f"W&B is unavailable ({problem}): the local queue runs the grid")
            return replace(self, backend="optuna", track=self._others)
        os.environ["WANDB_MODE"] = "offline"
        later = f"upload its runs later: {again.other('sync')}"
        report(f"W&B is unavailable ({problem}): the local queue runs the grid; {later}")
        return replace(self, backend="optuna", track=("wandb", *self._others))

    @property
    def _others(self) -> tuple[str, ...]:
        """The trackers that do not need W&B."""
        return tuple(name for name in self.track if name != "wandb")

    def store(self) -> WandbStore:
        """The project's sweeps."""
        from ddsweep.backends.wandb.backend import WandbStore

        return WandbStore(self.project, self.entity)

    def path(self, sweep: str) -> str:
        """``ENTITY/PROJECT/ID`` of a sweep, the argument of ``wandb agent``.

        Raises:
            UserError: W&B is unavailable, or has no such sweep.
        """
        import wandb

        try:
            return self.store().sweep(sweep).path
        finally:
            wandb.teardown()  # otherwise the client's service process runs as long as this one

    def configure(self, job: Job) -> Job:
        """The job, with the settings that its agents need for W&B."""
        return replace(job, backend=self.backend, track=self.track, project=self.project, entity=self.entity)
