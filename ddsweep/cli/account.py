"""What the command line says about W&B, and what is done where W&B is not to be had."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ddsweep.errors import UserError, closest
from ddsweep.trackers import choice

if TYPE_CHECKING:
    from collections.abc import Callable

    from ddsweep.backends.wandb.backend import WandbStore
    from ddsweep.launchers import Job

ALLOWED = {"backend": ("optuna", "wandb"), "track": choice.NAMES}


@dataclass(frozen=True)
class Account:
    """Which part W&B has.

    Attributes:
        backend: whose queue, ``optuna`` or ``wandb``.
        track: where trials tell what they do beside the queue; ``wandb`` or nothing.
        project: the W&B project; empty: ``ddsweep``.
        entity: its owner; empty: the account's default.

    Raises:
        UserError: no such backend, or nothing to track with.
    """

    backend: str = "optuna"
    track: tuple[str, ...] = ()
    project: str = ""
    entity: str = ""

    def __post_init__(self) -> None:
        for option, words in (("backend", (self.backend,)), ("track", self.track)):
            for word in words:
                if word not in ALLOWED[option]:
                    raise UserError(f"{option}: no {word!r}; {closest(word, ALLOWED[option])}")

    def reached(self, say: Callable[[str], None]) -> Account:
        """The same if W&B answers or is not asked for; else, said in one line, what goes on without it.

        The local queue then deals the points, and W&B's runs are written for ``ddsweep sync``. The agents hear of it
        through their environment.
        """
        if self.backend != "wandb" and "wandb" not in self.track:
            return self
        from ddsweep.trackers import wandb_service

        why = self.store().available()
        os.environ.pop("WANDB_SERVICE", None)  # a helper of this process; each agent starts its own
        if not why:
            return self
        if wandb_service.offline_mode() == "disabled":
            say(f"without W&B ({why}): the local queue runs the grid")
            return replace(self, backend="optuna", track=())
        os.environ["WANDB_MODE"] = "offline"
        say(f"without W&B for now ({why}): the local queue runs the grid; its runs can be uploaded later")
        return replace(self, backend="optuna", track=("wandb",))

    def store(self) -> WandbStore:
        """The project's sweeps."""
        from ddsweep.backends.wandb.backend import WandbStore

        return WandbStore(self.project, self.entity)

    def path(self, sweep: str) -> str:
        """``ENTITY/PROJECT/ID`` of a sweep, as W&B's agents are given it.

        Raises:
            UserError: W&B cannot be asked, or has no such sweep.
        """
        import wandb

        try:
            return self.store().sweep(sweep).path
        finally:
            wandb.teardown()  # else a helper process stays as long as this one

    def tell(self, job: Job) -> Job:
        """The job, with what its agents have to know of W&B."""
        return replace(job, backend=self.backend, track=self.track, project=self.project, entity=self.entity)
