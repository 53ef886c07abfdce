"""What runs on a node: one task of the array, which keeps agents on its GPU until the queue is drained."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ddsweep import files
from ddsweep.errors import UserError
from ddsweep.launchers import Job, plan
from ddsweep.launchers.local import LocalLauncher
from ddsweep.launchers.slurm import control
from ddsweep.trackers.status import slurm_task

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

LOOK = 0.5  # seconds between two looks at the agents


@dataclass(frozen=True)
class Task:
    """submitit pickles this, and calls it on the node. The storage's URL is not in it: it comes with the environment.

    Attributes:
        job: what the agents are told; without the storage.
        device: their device.
        agents: how many of them.
        folder: where a slot that was closed is noted.
    """

    job: Job
    device: str
    agents: int
    folder: Path

    def __call__(self) -> None:
        """Work until the queue is drained, or until Slurm wants the node back.

        Then (USR2 before the time limit or a preemption, TERM) the agents give their cells back, and the task queues
        itself again, unless Slurm has done so or the task was cancelled.
        """
        queue_again = signal.getsignal(signal.SIGUSR2)  # submitit's: calls `checkpoint`, requeues, and exits
        asked: list[int] = []
        for one in (signal.SIGUSR2, signal.SIGTERM):
            signal.signal(one, lambda number, frame: asked.append(number))
        try:
            launcher = self._launcher()
        except UserError as error:  # no GPU on this node, no storage
            self._give_up([str(error)])
        try:
            launcher.start()
            while not asked and launcher.poll():
                time.sleep(LOOK)
        finally:
            launcher.stop()
        if asked:
            if control.still_running() and callable(queue_again):
                queue_again(asked[0], None)
            return
        if closed := launcher.closed():
            self._give_up(closed)

    def checkpoint(self) -> DelayedSubmission:
        """What submitit queues again: the same. How far the work is, the queue and the cells' checkpoints know."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _launcher(self) -> LocalLauncher:
        try:
            storage = os.environ["DDSWEEP_STORAGE"]
        except KeyError:
            raise UserError("slurm: DDSWEEP_STORAGE did not reach the node; sbatch must export it") from None
        cpus = int(os.environ.get("SLURM_CPUS_ON_NODE", "1"))  # of this task; its affinity may be the whole node
        job = replace(self.job, storage=storage, threads=max(1, cpus // self.agents))
        gpu = self.device.startswith("cuda")
        slots = plan.slots(self.device, None if gpu else self.agents, per_gpu=self.agents if gpu else None)
        return LocalLauncher(job, slots, tag=f"{slurm_task()}-")

    def _give_up(self, reasons: list[str]) -> NoReturn:
        """Say why where ``status`` looks, and be FAILED for Slurm too."""
        files.write_text(self.folder / f"{slurm_task()}.closed", "\n".join(reasons) + "\n")
        sys.exit(1)
