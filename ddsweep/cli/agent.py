"""``ddsweep agent``: one agent on one device, for launchers and for schedulers of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddsweep.cli.options import RUNS, Backend, Device, Entity, Name, Profile, Project, Runs, Storage, Track


def agent(
    name: Name,
    profile: Profile = None,
    device: Device = "auto",
    runs: Runs = RUNS,
    storage: Storage = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: torch's own choice.")] = 0,
    backend: Backend = "optuna",
    track: Track = None,
    project: Project = None,
    entity: Entity = None,
    slot: Annotated[str, typer.Option(hidden=True, help="What people call the device.")] = "",
    streak: Annotated[Path | None, typer.Option(hidden=True, help="File of what failed on this slot.")] = None,
    parent: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """One agent for a launched sweep: pulls cells and runs them until none is left. Ctrl-C gives the cell back."""
    import logging
    import signal

    from ddsweep import agent as agents
    from ddsweep import device as devices
    from ddsweep import launches, processes
    from ddsweep.agent import wandb as wandb_agent
    from ddsweep.cli.account import Account
    from ddsweep.trackers import choice

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    for other in (signal.SIGINT, signal.SIGUSR2):  # USR2: Slurm's word before it takes the node back
        signal.signal(other, lambda *_: signal.raise_signal(signal.SIGTERM))
    if parent:
        processes.end_with(parent)
    on = devices.slots(device)[0]
    full_name = launches.registered_name(name, profile)
    account = Account(backend, tuple(track or ()), project or "", entity or "")
    post = agents.Post(on, slot, threads, streak)
    if account.backend == "wandb":
        path = account.path(full_name)
        raise typer.Exit(wandb_agent.main(wandb_agent.Hire(full_name, path, runs.absolute(), post)))
    launches.load(name, profile, runs, storage)
    further = choice.further(account.track, full_name, runs.absolute(), account.project, account.entity)
    raise typer.Exit(agents.main(full_name, launches.url(runs, storage), runs, post, further))
