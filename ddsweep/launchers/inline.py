"""The null launcher: one agent, in this process. For debuggers, and for one trial after the other."""

from __future__ import annotations

from ddsweep.launchers import Job


class InlineLauncher:
    """Runs the agent inside ``start``, which returns when the queue is drained."""

    def __init__(self, job: Job, slots: list[str]) -> None:
        self._job, self._slots = job, slots

    def start(self) -> None:
        """Work until the queue is drained."""
        from ddsweep import agent

        job = self._job
        agent.main(job.sweep, job.storage, job.runs, self._slots[0], job.threads)

    def poll(self) -> int:
        """No agent outlives ``start``."""
        return 0

    def stop(self) -> None:
        """Nothing runs."""

    def closed(self) -> list[str]:
        """An agent that fails here raises."""
        return []
