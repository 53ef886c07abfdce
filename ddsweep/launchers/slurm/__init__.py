"""An array of agents on a Slurm cluster, submitted through submitit (``pip install 'ddsweep[slurm]'``).

Slurm decides when and where a task runs. Which cell belongs to whom our leases say, never a job's state: without
accounting nobody learns from Slurm that a job was killed.
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

REQUEUES = 1000  # how often a task may reach its time limit; submitit's own 3 would end a sweep of days
EVERY = 5.0  # seconds between two questions to the controller, which all users share
PATIENCE = 120.0  # seconds until a cancelled job has left: the cluster's KillWait (30), and a busy controller


class SlurmLauncher:
    """One task per GPU, each with its agents; at its time limit and on preemption a task is queued again."""

    def __init__(self, job: Job, request: Request, device: str = "auto") -> None:
        self._job, self._request = job, request
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
        control.remember(self.folder, self.id, self._request.tasks)
        self._left = self._request.tasks

    def poll(self) -> int:
        """Tasks that run or wait. Asks Slurm every few seconds; while it does not answer the last answer stands."""
        if self.id and self._left and time.monotonic() - self._asked > EVERY:
            self._asked = time.monotonic()
            with contextlib.suppress(UserError):
                self._left = len(control.scheduled([self.id]))
        return self._left

    def stop(self) -> None:
        """Cancel the job and wait until Slurm has ended its tasks; agents give their cells back first.

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
        """Tasks that gave up: agents that kept dying, or a node without what they need."""
        return control.closed(self.folder, self.id) if self.id else []

    def _executor(self) -> SlurmExecutor:
        try:
            from submitit import SlurmExecutor
        except ImportError:
            raise UserError("slurm: needs submitit: pip install 'ddsweep[slurm]'") from None

        class Executor(SlurmExecutor):
            """A script can be written where there is no Slurm."""

            @classmethod
            def affinity(cls) -> int:
                return 1

        # `exec`, and no srun: the task is then the batch shell itself, and B:USR2 reaches it alone. A step of srun's
        # passes the signal to the agents as well, before their launcher knows that it must not replace them.
        executor = Executor(self.folder, max_num_timeout=REQUEUES, python=f"exec {shlex.quote(sys.executable)}")
        executor.update_parameters(**parameters(self._job.sweep, self._request))
        return executor


def advice(job: Job, request: Request) -> list[str]:
    """What may go wrong because the nodes are other machines than this one; nothing where they are not.

    Raises:
        UserError: no such partition or nodes, no Slurm here, or Slurm does not answer.
    """
    from ddsweep.backends.optuna import database

    nodes = control.nodes(request.passed.get("partition", ""), request.passed.get("nodelist", ""))
    if nodes <= {os.uname().nodename.split(".")[0]}:
        return []
    lines = []
    shared = database.network_filesystem(job.runs)
    if not shared:
        lines.append(f"{job.runs} is on a disk of this machine; {len(nodes)} nodes must see it under the same path")
    if job.backend == "optuna" and job.storage.startswith("sqlite"):
        lines.append("SQLite is meant for one machine; for several nodes: --storage postgresql://…")
    return lines


def parameters(sweep: str, request: Request) -> dict[str, Any]:
    """The request in submitit's words."""
    optional = {"gpus_per_node": request.gpu, "cpus_per_task": request.cpus, "mem": request.mem}
    additional = {"signal": f"B:USR2@{request.notice}", "requeue": True}
    return {
        "job_name": sweep, "time": request.minutes, "nodes": 1, "array_parallelism": request.parallel,
        "stderr_to_stdout": True, "use_srun": False, "additional_parameters": additional, "wckey": None,
        **{key: value for key, value in optional.items() if value}, **request.passed,
    }  # fmt: skip


@contextlib.contextmanager
def submission_environment(storage: str) -> Iterator[None]:
    """The environment that sbatch takes along to the nodes: ours with the storage's URL, which is in no file.

    What an allocation around us set would count as options of the new job, and is left out.
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
