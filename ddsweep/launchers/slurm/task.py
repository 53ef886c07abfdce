"""One task of the job array, which keeps agents running on its GPU until the queue is empty."""

from __future__ import annotations

import os
import signal
import sys
import threading
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

POLL = 0.5  # seconds between two checks of the agents


@dataclass(frozen=True)
class Task:
    """The callable that submitit pickles and runs on the node.

    The storage URL is not part of it; the node gets it through the environment.

    Attributes:
        job: the job of the agents, without the storage.
        device: their device.
        agents: their number.
        folder: where closed slots are recorded.
    """

    job: Job
    device: str
    agents: int
    folder: Path

    def __call__(self) -> None:
        """Run agents until the queue is empty or Slurm takes the node back.

        In the second case (USR2 before the time limit or a preemption, or TERM), the agents return their cells to the
        queue, and the task requeues itself unless Slurm has done so or the job was canceled.
        """
        queue_again = signal.getsignal(signal.SIGUSR2)  # submitit's handler: calls `checkpoint`, requeues, and exits
        received: list[int] = []
        for number in (signal.SIGUSR2, signal.SIGTERM):
            signal.signal(number, lambda number, frame: received.append(number))
        control.forget_end(self.folder, slurm_task())
        try:
            launcher = self._launcher()
        except UserError as error:  # no GPU on this node, no storage
            self._give_up([str(error)])
        try:
            launcher.start()
            while not received and launcher.poll():
                time.sleep(POLL)
        finally:
            note = threading.Thread(target=self._note_preemption, daemon=True)
            if received:  # at once: Slurm may kill this process before all agents have stopped
                note.start()
            launcher.stop()
        if received:
            note.join(control.ANSWER)
            if control.still_running() and callable(queue_again):
                queue_again(received[0], None)
            elif slurm_task() not in control.noted(self.folder):
                control.note_end(self.folder, slurm_task(), "canceled")
            return
        if closed := launcher.closed():
            self._give_up(closed)

    def _note_preemption(self) -> None:
        if control.preempted():
            control.note_end(self.folder, slurm_task(), control.PREEMPTED)

    def checkpoint(self) -> DelayedSubmission:
        """Submit the same task again; the queue and the cells' checkpoints hold the progress."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _launcher(self) -> LocalLauncher:
        try:
            storage = os.environ["DDSWEEP_STORAGE"]
        except KeyError:
            raise UserError("slurm: DDSWEEP_STORAGE did not reach the node; sbatch must export it") from None
        cpus = int(
            os.environ.get("SLURM_CPUS_ON_NODE", "1")
        )  # of this task; its CPU affinity may include the whole node
        job = replace(self.job, storage=storage, threads=max(1, cpus // self.agents))
        gpu = self.device.startswith("cuda")
        slots = plan.slots(self.device, None if gpu else self.agents, per_gpu=self.agents if gpu else None)
        return LocalLauncher(job, slots, tag=f"{slurm_task()}-")

    def _give_up(self, reasons: list[str]) -> NoReturn:
        """Record the reasons for ``ddsweep status``, and exit so that Slurm reports FAILED."""
        files.write_text(self.folder / f"{slurm_task()}.closed", "\n".join(reasons) + "\n")
        sys.exit(1)
