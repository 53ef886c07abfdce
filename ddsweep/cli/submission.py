"""``ddsweep launch --slurm``: submit agents to Slurm, and return at once or show their progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddsweep import again
from ddsweep.cli import console
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from ddsweep.backends import Store
    from ddsweep.cli.account import Account
    from ddsweep.cli.session import Session
    from ddsweep.launchers import Job
    from ddsweep.launchers.slurm import SlurmLauncher
    from ddsweep.launchers.slurm.request import Request
    from ddsweep.sweep import Sweep

    OpenStore = Callable[[Account, str, Path, str | None], tuple[Store, type[Session]]]


@dataclass(frozen=True)
class Options:
    """The options of a launch on Slurm.

    Attributes:
        slurm: the value of ``--slurm``; None if it is missing.
        runs: the folder that holds all runs.
        storage: the storage URL; None for SQLite in the runs folder.
        device: the agents' device; ``auto`` is the GPU that Slurm assigns, or the CPU if the request has no GPUs.
        account: the use of W&B.
        repeat: which cells to compute again.
        alone: take the cells of earlier launches out of the sweep.
        group: the most cells that an agent runs as a group; 0: the default of its device.
    """

    slurm: str | None
    runs: Path
    storage: str | None
    device: str
    account: Account
    repeat: again.Repeat = again.NOTHING
    alone: bool = False
    group: int = 0

    def request(self) -> Request:
        """The parsed request. Raises UserError if it is missing or invalid."""
        from ddsweep.launchers.slurm import request

        if self.slurm is None:
            raise UserError(
                "slurm: --dry-run and --watch need --slurm; a launch on this machine always shows its progress"
            )
        return request.parse(self.slurm)

    def job(self, sweep: Sweep) -> Job:
        """The job of the agents."""
        from ddsweep import launches
        from ddsweep.launchers import Job

        storage = launches.url(self.runs, self.storage)
        request = self.request()
        agents = (request.parallel or request.tasks) * request.agents
        job = Job(sweep.full_name, self.runs.absolute(), storage, 0, group=self.group, agents=agents)
        return self.account.configure(job)


def dry_run(sweep: Sweep, options: Options) -> int:
    """Print the sbatch script and submit nothing."""
    from ddsweep.launchers.slurm import SlurmLauncher

    console.write(SlurmLauncher(options.job(sweep), options.request(), options.device).script())
    return 0


def launch(sweep: Sweep, options: Options, watch: bool, open_store: OpenStore) -> int:
    """Register the sweep and submit its agents; return the exit status."""
    from dataclasses import replace

    from ddsweep.device import Slot
    from ddsweep.launchers import slurm

    request = options.request()
    account = options.account.available(console.note)
    job = replace(options, account=account).job(sweep)
    for line in slurm.advice(job, request):
        console.note(f"note    {line}")
    launcher = slurm.SlurmLauncher(job, request, options.device, again.command())
    store, session = open_store(account, sweep.full_name, options.runs, options.storage)
    try:
        login_node = Slot("cpu", f"slurm: {request}")  # figures are drawn on the login node
        shown = session(sweep, store, launcher, job, [login_node], options.repeat, options.alone)
        return shown.submit(lambda: instructions(launcher, job), watch, launcher.resubmit)
    finally:
        store.close()


def instructions(launcher: SlurmLauncher, job: Job) -> list[str]:
    """How to follow and stop the submitted agents."""
    number, name = launcher.id, job.sweep
    return [
        f"submitted job {number}",
        f"follow  {again.other('status', name, '--watch')}      squeue --jobs={number}",
        f"logs    {job.folder}/agent-{number}_*.log      {launcher.folder}/{number}_*.out",
        f"stop    {again.other('stop', name)}      scancel {number}",
    ]
