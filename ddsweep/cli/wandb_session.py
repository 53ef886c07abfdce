"""A launch whose queue is W&B's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from ddsweep import again
from ddsweep.backends import Definition, State, Status
from ddsweep.backends.local import FolderStore
from ddsweep.cli import moving
from ddsweep.cli.session import Session, definition

if TYPE_CHECKING:
    from ddsweep.backends import Registered
    from ddsweep.backends.wandb.backend import WandbBackend

READ_WANDB = 15.0  # seconds between two requests to W&B


class WandbSession(Session):
    """A session that reads W&B rarely, and this machine's run folders in between."""

    def _definition(self) -> Definition:
        new = definition(self._sweep)
        return new if self._alone else moving.from_storage(new, self._job.storage, self._job.runs)

    def _print_changes(self, registered: Registered) -> None:
        from ddsweep.backends.wandb.backend import wandb_definition

        super()._print_changes(registered)
        backend = cast("WandbBackend", self._backend)
        for change in backend.changes():
            self._out.say(f"changed {change}")
        for notice in backend.notices():
            self._out.say(notice)
        self._url = backend.url
        self._out.say(f"W&B     {self._url}")
        store = FolderStore(self._job.runs)
        store.remember(wandb_definition(self._sweep))
        self._local, self._read = store.sweep(self._sweep.full_name), -READ_WANDB

    def _read_status(self) -> Status:
        if time.monotonic() - self._read > READ_WANDB:
            self._known, self._read = self._backend.status(), time.monotonic()
        local = {row.point.key: row for row in self._local.status().rows}
        waits = (State.WAITING, State.RUNNING)
        rows = [
            mine if row.state in waits and (mine := local.get(row.point.key, row)).state is not State.WAITING else row
            for row in self._known.rows
        ]
        known = {row.point.key for row in rows}
        new = [row for key, row in local.items() if key not in known]  # drawn by a search since W&B was read
        return Status(self._known.name, rows + new, max(0, self._known.to_draw - len(new)))

    def _can_resume(self, status: Status) -> bool:
        return status.done < status.size  # failed cells are registered again

    def _retry_command(self) -> str:
        return again.command()  # every launch registers failed cells again

    def _next(self) -> list[str]:
        return [self._url, again.other("report", self._sweep.full_name)]
