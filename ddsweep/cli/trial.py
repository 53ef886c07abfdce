"""``ddsweep trial``: run one point of a W&B sweep; W&B's agents start it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Entity, Project, Runs

Point = Annotated[str, typer.Argument(metavar="JSON", help="Recipe fields as a JSON object, from W&B's ${args_json}.")]
Device = Annotated[
    str, typer.Option("--device", "-d", envvar="DDSWEEP_DEVICE", help="Device to use: auto, cpu, cuda, cuda:N, or mps.")
]


def trial(
    name: Annotated[
        str, typer.Argument(metavar="NAME@PROFILE", help="Name of the sweep; its file need not exist on this machine.")
    ],
    point: Point,
    device: Device = "auto",
    runs: Runs = RUNS,
    project: Project = None,
    entity: Entity = None,
    device_label: Annotated[
        str, typer.Option(hidden=True, envvar="DDSWEEP_DEVICE_LABEL", help="Name of the device in the output.")
    ] = "",
    agent: Annotated[str, typer.Option(hidden=True, envvar="DDSWEEP_AGENT", help="Name of the agent.")] = "",
    failures: Annotated[
        Path | None,
        typer.Option(hidden=True, envvar="DDSWEEP_FAILURES", help="File of the consecutive failures on this device."),
    ] = None,
    track: Annotated[
        str, typer.Option("--track", envvar="DDSWEEP_TRACK", metavar="NAME,…", help="Further trackers, of plugins.")
    ] = "",
) -> None:
    """Run one cell of a W&B sweep and log it to W&B. `wandb agent` runs this command; you do not need to.

    The exit status is 0 if the cell completes, and 1 if it fails; the run on W&B gives the reason.
    """
    from ddsweep import environment

    environment.set_up()
    import os

    from ddsweep import device as devices
    from ddsweep import processes, recipe
    from ddsweep.agent import wandb_trial
    from ddsweep.sweep import wandb as wandb_sweep
    from ddsweep.trackers import choice
    from ddsweep.trackers.wandb import WandbTracker

    processes.end_with(os.getppid())
    console.log_to_stderr()
    chosen = recipe.make(wandb_sweep.choices(fields(point)), recipe.by_name.every())
    placement = wandb_trial.TrialPlacement(
        name, runs.absolute(), devices.resolve(device)[0], device_label, agent, failures
    )
    others = [one for one in choice.names([track] if track else []) if one != "wandb"]
    account = (project or "", entity or "")
    tracker, further = (
        WandbTracker(name, placement.runs, *account),
        choice.further(others, name, placement.runs, *account),
    )
    raise typer.Exit(wandb_trial.main(chosen, placement, tracker, further))


def fields(text: str) -> dict[str, Any]:
    """The JSON object of the command line.

    Raises:
        UserError: it is none.
    """
    from ddsweep.errors import UserError

    try:
        value = json.loads(text)
    except ValueError as error:
        raise UserError(f"JSON: cannot be parsed ({error})") from None
    if not isinstance(value, dict):
        raise UserError('JSON: must be an object of Recipe fields, like {"method": "dm", "ipc": 1, "alpha": 100}')
    return value
