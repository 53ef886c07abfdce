"""``ddsweep stop``: ask the agents of a sweep to stop, on every host."""

from __future__ import annotations

from typing import Annotated

import typer

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Name, Profile, Runs, Storage
from ddsweep.errors import UserError


def stop(
    name: Name,
    profile: Profile = None,
    now: Annotated[
        bool,
        typer.Option(
            "--now", help="Do not finish the running cells: return them to the queue, without counting the attempt."
        ),
    ] = False,
    runs: Runs = RUNS,
    storage: Storage = None,
) -> None:
    """Ask every agent of a sweep, on every host, to finish its cell and stop.

    Launching the sweep again resumes it.
    """
    from ddsweep import again, launches, text
    from ddsweep.cli import display, sweep_agents

    full_name = launches.registered_name(name, profile)
    store = launches.reading(runs, storage)
    try:
        backend = store.sweep(full_name)
        status = backend.status()
        if not sweep_agents.ask_to_stop(backend, "now" if now else "drain"):
            raise UserError(f"{full_name}: W&B controls its agents; stop it on its page, or with: wandb sweep --stop")
        agents = sweep_agents.of(backend, runs, full_name)
    finally:
        store.close()
    how = "return the running cells to the queue and stop" if now else "finish the running cells and stop"
    asked = f"asked {text.plural(len(agents), 'agent')} to {how}" if agents else "no agent is running"
    console.echo(f"{full_name}: {asked}; {display.counts(status)}")
    for line in display.agent_lines(agents):
        console.echo(line)
    console.echo(f"resume with  {again.other('agents', full_name)}   or the command that launched it")
