"""``ddsweep launch --slurm``: hands its agents to Slurm and comes back at once, or stays to watch them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

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

    Books = Callable[[Account, str, Path, str | None], tuple[Store, type[Session]]]


@dataclass(frozen=True)
class Order:
    """What a launch was told.

    Attributes:
        slurm: what to ask of Slurm; None: nothing was said.
        runs: the folder of all runs.
        storage: URL; None: SQLite in the runs folder.
        device: of the agents; ``auto``: the GPU that Slurm gives them, or the CPU where none is asked for.
        account: which part W&B has.
    """

    slurm: str | None
    runs: Path
    storage: str | None
    device: str
    account: Account

    def request(self) -> Request:
        """What is asked of Slurm. Raises UserError when nothing is, or nothing that can be understood."""
        from ddsweep.launchers.slurm import request

        if self.slurm is None:
            raise UserError("slurm: --dry-run and --watch go with --slurm; a launch on this machine is watched anyhow")
        return request.parse(self.slurm)

    def job(self, sweep: Sweep) -> Job:
        """What the agents are told."""
        from ddsweep import launches
        from ddsweep.launchers import Job

        storage = launches.url(self.runs, self.storage)
        return self.account.configure(Job(sweep.full_name, self.runs.absolute(), storage, 0))


def dry_run(sweep: Sweep, order: Order) -> int:
    """Print the sbatch script and touch nothing."""
    from ddsweep.launchers.slurm import SlurmLauncher

    typer.echo(SlurmLauncher(order.job(sweep), order.request(), order.device).script())
    return 0


def launch(sweep: Sweep, order: Order, watch: bool, books: Books) -> int:
    """Register the sweep and submit its agents; the exit status."""
    from dataclasses import replace

    from ddsweep.device import Slot
    from ddsweep.launchers import slurm

    request = order.request()
    account = order.account.available(lambda line: typer.echo(line, err=True))
    job = replace(order, account=account).job(sweep)
    for line in slurm.advice(job, request):
        typer.echo(f"note    {line}", err=True)
    launcher = slurm.SlurmLauncher(job, request, order.device)
    store, session = books(account, sweep.full_name, order.runs, order.storage)
    try:
        here = Slot("cpu", f"slurm: {request}")  # pictures are drawn on the login node
        return session(sweep, store, launcher, job, [here]).hand_over(lambda: told(launcher, job), watch)
    finally:
        store.close()


def told(launcher: SlurmLauncher, job: Job) -> list[str]:
    """Where to look from now on."""
    number, name = launcher.id, job.sweep
    return [
        f"submitted job {number}",
        f"follow  ddsweep status {name} --watch      squeue --jobs={number}",
        f"logs    {job.folder}/agent-{number}_*.log      {launcher.folder}/{number}_*.out",
        f"stop    ddsweep stop {name}      scancel {number}",
    ]
