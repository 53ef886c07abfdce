"""``ddsweep agent``: run one agent on one device, for launchers and for your own schedulers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddsweep.cli import console
from ddsweep.cli.options import (
    RUNS,
    Backend,
    Device,
    Entity,
    Group,
    Name,
    NoGroup,
    Profile,
    Project,
    Runs,
    Storage,
    Track,
    most_in_group,
)


def agent(
    name: Name,
    profile: Profile = None,
    device: Device = "auto",
    runs: Runs = RUNS,
    storage: Storage = None,
    threads: Annotated[int, typer.Option(min=0, help="Number of CPU threads; 0 leaves the choice to PyTorch.")] = 0,
    backend: Backend = "optuna",
    track: Track = None,
    project: Project = None,
    entity: Entity = None,
    group: Group = None,
    no_group: NoGroup = False,
    agents: Annotated[int, typer.Option(min=1, hidden=True, help="Number of agents of the launch.")] = 1,
    device_label: Annotated[str, typer.Option(hidden=True, help="Name of the device in the output.")] = "",
    failures: Annotated[
        Path | None, typer.Option(hidden=True, help="File of the consecutive failures on this device.")
    ] = None,
    parent: Annotated[int, typer.Option(hidden=True, help="Process whose end also ends this agent.")] = 0,
) -> None:
    """Run one agent of a launched sweep: it claims and runs cells until the queue is empty.

    Ctrl-C, SIGTERM and SIGUSR2 return its cell to the queue; the exit status is then 128 + the number of the signal.
    """
    from ddsweep import environment

    environment.set_up()
    import signal
    import sys

    from ddsweep import agent as agent_process
    from ddsweep import device as devices
    from ddsweep import launches, processes
    from ddsweep.agent import wandb as wandb_agent
    from ddsweep.cli.account import Account
    from ddsweep.trackers import choice

    console.log_to_stderr()
    for number in agent_process.SIGNALS:  # until the agent handles them; it has claimed nothing yet
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    if parent:
        processes.end_with(parent)
    full_name = launches.registered_name(name, profile)
    account = Account(backend, tuple(track or ()), project or "", entity or "")
    limits = agent_process.Limits(most_in_group(group, no_group), agents)
    placement = agent_process.Placement(devices.resolve(device)[0], device_label, threads, failures, limits)
    if account.backend == "wandb":
        path = account.path(full_name)
        own = wandb_agent.WandbAgent(full_name, path, runs.absolute(), placement, account.track)
        raise typer.Exit(wandb_agent.main(own))
    launches.load(name, profile, runs, storage)
    trackers = choice.further(account.track, full_name, runs.absolute(), account.project, account.entity)
    raise typer.Exit(agent_process.main(full_name, launches.url(runs, storage), runs, placement, trackers))
