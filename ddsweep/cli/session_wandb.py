"""A launch whose points W&B deals, as a person sees it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from ddsweep.backends import State, Status
from ddsweep.backends.local import FolderStore
from ddsweep.cli.session import Session

if TYPE_CHECKING:
    from ddsweep.backends import Registered
    from ddsweep.backends.wandb.backend import WandbBackend

ASK = 15.0  # seconds between two questions to W&B


class WandbSession(Session):
    """Asks W&B seldom, and looks into the run folders of this machine in between."""

    def _tell_changes(self, registered: Registered) -> None:
        from ddsweep.backends.wandb.backend import dealt

        super()._tell_changes(registered)
        backend = cast("WandbBackend", self._backend)
        for change in backend.changes():
            self._out.print(f"changed {change}", soft_wrap=True)
        for notice in backend.notices():
            self._out.print(notice, soft_wrap=True)
        self._url = backend.url
        self._out.print(f"W&B     {self._url}", soft_wrap=True)
        here = FolderStore(self._job.runs)
        here.remember(dealt(self._sweep))
        self._here, self._asked = here.sweep(self._sweep.full_name), -ASK

    def _look(self) -> Status:
        if time.monotonic() - self._asked > ASK:
            self._known, self._asked = self._backend.status(), time.monotonic()
        here = {row.point.key: row for row in self._here.status().rows}
        waits = (State.WAITING, State.RUNNING)
        rows = [
            mine if row.state in waits and (mine := here.get(row.point.key, row)).state is not State.WAITING else row
            for row in self._known.rows
        ]
        asked = {row.point.key for row in rows}
        new = [row for key, row in here.items() if key not in asked]  # dealt by a search since W&B was asked
        return Status(self._known.name, rows + new, max(0, self._known.to_draw - len(new)))

    def _goes_on(self, status: Status) -> bool:
        return status.done < status.size  # what failed is registered anew

    def _reference(self) -> str:
        project = f" --project {self._job.project}" if self._job.project else ""
        return f"{super()._reference()} --backend wandb{project}"

    def _next(self) -> list[str]:
        return [self._url, f"ddsweep report {self._sweep.full_name}"]
