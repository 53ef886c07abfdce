"""The null launcher: one agent in this process, for debuggers and for running one trial after another."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from ddsweep import processes
from ddsweep.device import Slot
from ddsweep.launchers import Job


class InlineLauncher:
    """Runs the agent inside ``start``, which returns when the queue is empty."""

    def __init__(self, job: Job, slots: Sequence[Slot]) -> None:
        self._job, self._slot = job, slots[0]
        self._closed: list[str] = []

    def start(self) -> None:
        """Run cells until the queue is empty.

        Raises:
            KeyboardInterrupt: a signal has asked the agent to stop, and its cell is back in the queue.
        """
        from ddsweep import agent
        from ddsweep.trackers import choice

        job, placement = (
            self._job,
            agent.Placement(
                self._slot.device, str(self._slot), self._job.threads, limits=agent.Limits(self._job.group)
            ),
        )
        further = choice.further(job.track, job.sweep, job.runs, job.project, job.entity)
        status = agent.main(job.sweep, job.storage, job.runs, placement, further)
        if status in agent.STOPPED:  # the agent has returned its cell; now the launch ends too
            raise processes.Terminated if status == 128 + signal.SIGTERM else KeyboardInterrupt
        if status == agent.RESTART_NEEDED:
            self._closed = [f"{self._slot}: the device failed, and this process cannot be replaced; launch again"]
        elif status == agent.OTHER_IMAGES:
            self._closed = [f"{self._slot}: the images on this host are not those of the sweep; see the message above"]
        elif status == agent.BAD_DEVICE:
            self._closed = [f"{self._slot}: different cells failed in a row"]

    def poll(self) -> int:
        """Return 0, because no agent outlives ``start``."""
        return 0

    def stop(self) -> None:
        """Do nothing, because nothing runs."""

    def closed(self) -> list[str]:
        """Why the agent gave up before the queue was empty."""
        return self._closed
