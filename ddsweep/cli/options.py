"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ddsweep.errors import UserError, closest
from ddsweep.settings import settings as settings


def complete_sweep(incomplete: str) -> list[tuple[str, str]]:
    """Sweeps for the shell's completion, with what they ask."""
    from ddsweep import sweep

    found = []
    for name in sweep.names():
        if name.startswith(incomplete):
            try:
                found.append((name, sweep.load(name).title))
            except UserError:
                found.append((name, "(has an error)"))
    return found


def complete_profile(incomplete: str) -> list[str]:
    """Profiles for the shell's completion."""
    from ddsweep import sweep

    return [name for name in sweep.profiles() if name.startswith(incomplete)]


Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@PROFILE]", help="A sweep, or the path of a sweep file.", autocompletion=complete_sweep
    ),
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", "-p", help="Scale: demo, quick, paper (default).", autocompletion=complete_profile),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY=VALUE", help="Override a Recipe field; a,b,c replaces an axis. Repeatable."
    ),
]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of all runs.", envvar="DDSWEEP_RUNS", show_default=True)]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar="DDSWEEP_STORAGE",
        help="Optuna storage URL; default: SQLite in the runs folder.",
        show_envvar=True,
    ),
]
Device = Annotated[str, typer.Option("--device", "-d", help="auto, cpu, cuda, cuda:N or mps.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", "-w", min=0, help="Agents; default: one per GPU, or one per two CPU cores. 0: in this process."
    ),
]
Gpus = Annotated[
    str | None,
    typer.Option("--gpus", metavar="LIST", help="GPUs: all, 0-3, 0,2, GPU-… or MIG-… names; as CUDA numbers them."),
]
PerGpu = Annotated[int | None, typer.Option("--per-gpu", min=1, help="Agents on each GPU; default: 1.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Backend = Annotated[str, typer.Option("--backend", "-b", help="Whose queue: optuna or wandb.")]
Track = Annotated[
    list[str] | None, typer.Option("--track", help="Also tell wandb what the trials do. Works with either queue.")
]
Project = Annotated[
    str | None, typer.Option("--project", envvar="WANDB_PROJECT", help="W&B project; default: ddsweep.")
]
Entity = Annotated[
    str | None,
    typer.Option("--entity", envvar="WANDB_ENTITY", help="Owner of the W&B project; default: the account's."),
]


def _tell_agents(value: str) -> str:
    if value not in ("auto", "on", "off"):
        raise UserError(f"compile: {value!r} is not allowed; {closest(value, ('auto', 'on', 'off'))}")
    os.environ["DDSWEEP_COMPILE"] = value  # reaches every trial, whoever starts it
    return value


Compile = Annotated[
    str,
    typer.Option(
        "--compile",
        envvar="DDSWEEP_COMPILE",
        callback=_tell_agents,
        metavar="auto|on|off",
        help="Compile what is computed most often; auto: where the work repays it.",
    ),
]
RUNS = Path("runs")
