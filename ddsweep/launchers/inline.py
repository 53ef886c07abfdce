"""The null launcher: one agent, in this process. For debuggers, and for one trial after the other."""

from __future__ import annotations

from collections.abc import Sequence

from ddsweep.device import Slot
from ddsweep.launchers import Job


class InlineLauncher:
    """Runs the agent inside ``start``, which returns when the queue is drained."""

    def __init__(self, job: Job, slots: Sequence[Slot]) -> None:
        self._job, self._slot = job, slots[0]
        self._closed: list[str] = []

    def start(self) -> None:
        """Work until the queue is drained."""
        from ddsweep import agent
        from ddsweep.trackers import choice

        job, placement = self._job, agent.Placement(self._slot.device, str(self._slot), self._job.threads)
        further = choice.further(job.track, job.sweep, job.runs, job.project, job.entity)
        status = agent.main(job.sweep, job.storage, job.runs, placement, further)
        if status == agent.RESTART_NEEDED:
            self._closed = [f"{self._slot}: the device failed, and this process cannot be replaced; launch again"]
        elif status == agent.BAD_DEVICE:
            self._closed = [f"{self._slot}: different cells failed one after the other"]

    def poll(self) -> int:
        """No agent outlives ``start``."""
        return 0

    def stop(self) -> None:
        """Nothing runs."""

    def closed(self) -> list[str]:
        """Why the agent gave up before the queue was drained."""
        return self._closed
