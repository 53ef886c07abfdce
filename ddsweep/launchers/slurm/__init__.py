"""Submit agents as a job array on a Slurm cluster, through submitit (``pip install 'ddsweep[slurm]'``).

Slurm decides when and where a task runs. Which agent has a cell is decided by the leases, never by the state of a job:
without accounting, Slurm does not report that a job was killed.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ddsweep.errors import UserError
from ddsweep.launchers import Job
from ddsweep.launchers.slurm import control
from ddsweep.launchers.slurm.request import Request
from ddsweep.launchers.slurm.task import Task

if TYPE_CHECKING:
    from submitit import SlurmExecutor

REQUEUES = 1000  # how often a task may reach its time limit; submitit's default of 3 would end a sweep of days
EVERY = 5.0  # seconds between two requests to the controller, which all users share
PATIENCE = 120.0  # seconds for a canceled job to end: the cluster's KillWait (30), and a busy controller


class SlurmLauncher:
    """Submits one task per GPU, each with its agents; at its time limit or on preemption, a task is requeued.

    Args:
        job: the settings of the agents.
        request: the array.
        device: the agents' device.
        command: what the user types to submit it again.
    """

    def __init__(self, job: Job, request: Request, device: str = "auto", command: str = "") -> None:
        self._job, self._request, self._command = job, request, command
        self._device = device if device != "auto" else "cuda" if request.gpu else "cpu"
        self.folder = control.folder(job.runs, job.sweep)
        self._left, self._asked = 0, 0.0
        self.id = ""  # of the submitted job

    def script(self) -> str:
        """The sbatch script as ``start`` submits it. Touches nothing and needs no Slurm."""
        executor = self._executor()
        if self._request.tasks > 1:
            executor.parameters["map_count"] = self._request.tasks
        return executor._make_submission_file_text(executor._submitit_command_str, "")

    def start(self) -> None:
        """Submit the array.

        Raises:
            UserError: this machine has no sbatch, or sbatch refuses; the line has its words.
        """
        control.ask("sbatch", "--version")
        executor = self._executor()
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        task = Task(replace(self._job, storage=""), self._device, self._request.agents, self.folder)
        with submission_environment(self._job.storage):
            try:
                with executor.batch():
                    jobs = [executor.submit(task) for _ in range(self._request.tasks)]
            except (FailedJobError, FailedSubmissionError) as error:
                raise UserError(f"slurm: sbatch: {control.reason(str(error))}") from None
        self.id = jobs[0].job_id.split("_")[0]
        control.remember(self.folder, self.id, self._request.tasks, self._command)
        self._left = self._request.tasks

    def poll(self) -> int:
        """The number of running and pending tasks, as of Slurm's last answer; it is asked every few seconds."""
        if self.id and self._left and time.monotonic() - self._asked > EVERY:
            self._asked = time.monotonic()
            with contextlib.suppress(UserError):
                self._left = len(control.scheduled([self.id]))
        return self._left

    def resubmit(self) -> bool:
        """Submit the array again if it was preempted and Slurm has not requeued it (``PreemptMode=CANCEL``).

        Returns:
            False, and nothing is submitted, if the array ended for another reason, for instance ``scancel``.
        """
        if self._left or control.PREEMPTED not in control.ended(self.folder, self.id):
            return False
        self.start()
        return True

    def stop(self) -> None:
        """Cancel the job and wait until Slurm has ended its tasks; agents return their cells to the queue first.

        Raises:
            UserError: Slurm does not answer.
        """
        if not self.id:
            return
        control.cancel(self.id)
        deadline = time.monotonic() + PATIENCE
        while self._left and time.monotonic() < deadline:
            self._left = len(control.scheduled([self.id]))
            time.sleep(min(1.0, EVERY))
        self._left = 0

    def closed(self) -> list[str]:
        """The tasks that gave up, because agents kept dying or the node lacks something that they need."""
        return control.closed(self.folder, self.id) if self.id else []

    def _executor(self) -> SlurmExecutor:
        try:
            from submitit import SlurmExecutor
        except ImportError:
            raise UserError("slurm: submitit is not installed; install it with: pip install 'ddsweep[slurm]'") from None

        class Executor(SlurmExecutor):
            """An executor that can also write scripts on a machine without Slurm."""

            @classmethod
            def affinity(cls) -> int:
                return 1

        # With `exec` and without srun, the task is the batch shell itself, and B:USR2 reaches only it. An srun step
        # would pass the signal to the agents as well, before their launcher knows that it must not replace them.
        executor = Executor(self.folder, max_num_timeout=REQUEUES, python=f"exec {shlex.quote(sys.executable)}")
        executor.update_parameters(**parameters(self._job.sweep, self._request))
        return executor


def advice(job: Job, request: Request) -> list[str]:
    """Warnings about storage that other nodes cannot use; none if the only node is this machine.

    Raises:
        UserError: the partition or nodes do not exist, Slurm is not installed, or it does not answer.
    """
    from ddsweep.backends.optuna import mounts

    nodes = control.nodes(request.passed.get("partition", ""), request.passed.get("nodelist", ""))
    if nodes <= {os.uname().nodename.split(".")[0]}:
        return []
    lines = []
    shared = mounts.network_filesystem(job.runs)
    if not shared:
        lines.append(
            f"{job.runs} is on a local disk of this machine; {len(nodes)} nodes must see it under the same path"
        )
    if job.backend == "optuna" and job.storage.startswith("sqlite"):
        lines.append("SQLite supports a single machine; for several nodes, use --storage postgresql://…")
    return lines


def parameters(sweep: str, request: Request) -> dict[str, Any]:
    """The request as submitit's parameters."""
    optional = {"gpus_per_node": request.gpu, "cpus_per_task": request.cpus, "mem": request.mem}
    additional = {"signal": f"B:USR2@{request.notice}", "requeue": True}
    return {
        "job_name": sweep,
        "time": request.minutes,
        "nodes": 1,
        "array_parallelism": request.parallel,
        "stderr_to_stdout": True,
        "use_srun": False,
        "additional_parameters": additional,
        "wckey": None,
        **{key: value for key, value in optional.items() if value},
        **request.passed,
    }


@contextlib.contextmanager
def submission_environment(storage: str) -> Iterator[None]:
    """Set the environment that sbatch exports: ours with the storage URL, which is written to no file.

    Variables of a surrounding allocation are removed, because sbatch would read them as options of the new job.
    """
    before = dict(os.environ)
    if "SLURM_JOB_ID" in os.environ:
        for name in [name for name in os.environ if name.startswith("SLURM") and name != "SLURM_CONF"]:
            del os.environ[name]
    os.environ.update(DDSWEEP_STORAGE=storage, SBATCH_EXPORT="ALL")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
