"""``ddsweep agent``: one agent on one device, for launchers and for schedulers of one's own."""

from __future__ import annotations

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
    parent: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """One agent for a launched sweep: pulls cells and runs them until none is left. Ctrl-C gives the cell back."""
    import logging
    import signal

    from ddsweep import agent as agents
    from ddsweep import device as devices
    from ddsweep.cli import stores

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    signal.signal(signal.SIGINT, lambda *_: signal.raise_signal(signal.SIGTERM))
    if parent:
        agents.die_with(parent)
    slot = devices.slots(device)[0]
    stores.launched(name, profile, runs, storage)
    full_name = stores.launched_name(name, profile)
    raise typer.Exit(agents.main(full_name, stores.url(runs, storage), runs, slot, threads))
