"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ddsweep import files
from ddsweep.cli import console
from ddsweep.errors import UserError, closest
from ddsweep.settings import settings as settings


def complete_sweep(incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a sweep, or of one that has files in the runs folder; the shell shows its title."""
    from ddsweep import sweep

    runs = files.expanded(os.environ.get("DDSWEEP_RUNS", RUNS))
    launched = sorted(path.name for path in runs.glob("*@*") if path.is_dir())
    completions = [(name, "(launched)") for name in launched if incomplete and name.startswith(incomplete)]
    for name in sweep.names():
        if name.startswith(incomplete):
            try:
                completions.append((name, console.as_help(sweep.load(name).title)))
            except UserError:
                completions.append((name, "(has an error)"))
    return completions


def complete_profile(incomplete: str) -> list[str]:
    """Complete the name of a profile."""
    from ddsweep import sweep

    return [name for name in sweep.profiles() if name.startswith(incomplete)]


Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@PROFILE]", help="Name of a sweep, or path of a sweep file.", autocompletion=complete_sweep
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile", "-p", help="Scale of the sweep: demo, quick, or paper (default).", autocompletion=complete_profile
    ),
]
NoCheck = Annotated[
    bool,
    typer.Option(
        "--no-check",
        envvar="DDSWEEP_NO_CHECK",
        help="Do not check plugins before they run (each takes some seconds, once per version of its code).",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Override a recipe field; a,b,c replaces the values of an axis. Repeatable.",
    ),
]
Runs = Annotated[
    Path,
    typer.Option(
        "--runs",
        help="Folder that holds all runs.",
        envvar="DDSWEEP_RUNS",
        show_default=True,
        callback=files.expanded,  # of a variable, no shell does it
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar="DDSWEEP_STORAGE",
        help="Optuna storage URL (default: SQLite in the runs folder).",
        show_envvar=True,
    ),
]
Device = Annotated[str, typer.Option("--device", "-d", help="Device to use: auto, cpu, cuda, cuda:N, or mps.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        "-w",
        min=0,
        help="Number of agents (default: one per GPU; on a CPU, measured once). 0 runs the cells in this process.",
    ),
]
Gpus = Annotated[
    str | None,
    typer.Option(
        "--gpus", metavar="LIST", help="GPUs to use: all, 0-3, 0,2, or GPU-… and MIG-… UUIDs; numbered as in CUDA."
    ),
]
PerGpu = Annotated[int | None, typer.Option("--per-gpu", min=1, help="Agents per GPU (default: 1).")]
Group = Annotated[
    int | None,
    typer.Option(
        "--group",
        metavar="N",
        min=1,
        help="Most cells that an agent computes in lockstep (default: what fits on a GPU, up to 16; 1 on a CPU).",
    ),
]
NoGroup = Annotated[bool, typer.Option("--no-group", help="Compute one cell at a time: --group 1.")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Also retry the cells that were given up, unless that is in vain.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Backend = Annotated[str, typer.Option("--backend", "-b", help="Backend that holds the queue: optuna or wandb.")]
Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="NAME,…",
        help="Also log trials with these trackers: wandb, or a plugin's. Works with either backend.",
    ),
]
Project = Annotated[
    str | None, typer.Option("--project", envvar="WANDB_PROJECT", help="W&B project (default: ddsweep).")
]
Entity = Annotated[
    str | None,
    typer.Option(
        "--entity", envvar="WANDB_ENTITY", help="Owner of the W&B project (default: your account's default entity)."
    ),
]


def most_in_group(group: int | None, no_group: bool) -> int:
    """The most cells that an agent runs as a group; 0: the default of its device.

    Raises:
        UserError: both options are given.
    """
    if no_group and group is not None:
        raise UserError("group: --group and --no-group contradict each other; give one of them")
    return 1 if no_group else group or 0


def _export_compile(value: str) -> str:
    if value not in ("auto", "on", "off"):
        raise UserError(f"compile: unknown mode {value!r}; {closest(value, ('auto', 'on', 'off'))}")
    os.environ["DDSWEEP_COMPILE"] = value  # inherited by every process that runs trials
    return value


Compile = Annotated[
    str,
    typer.Option(
        "--compile",
        envvar="DDSWEEP_COMPILE",
        callback=_export_compile,
        metavar="auto|on|off",
        help="Use torch.compile: auto (only where it pays off), on, off.",
    ),
]
RUNS = Path("runs")
