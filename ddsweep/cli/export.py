"""``ddsweep export``: what is known here in the form that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddsweep.cli.options import Name, Profile, Settings, settings
from ddsweep.errors import UserError

Wandb = Annotated[bool, typer.Option("--wandb", help="The sweep as a configuration for `wandb sweep`.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="PATH", help="Default: standard output.")]


def export(
    name: Name, profile: Profile = None, set_: Settings = None, wandb: Wandb = False, output: Output = None
) -> None:
    """Write a sweep (--wandb) for other programs: `wandb sweep FILE` registers it, and its agents run it."""
    if not wandb:
        raise UserError(f"export: say what {name} is to become: --wandb (a file for `wandb sweep`)")
    text = for_wandb(name, profile, set_)
    if output is None:
        typer.echo(text, nl=False)
        return
    from ddsweep import files

    files.write_text(output, text)
    typer.echo(f"wrote {output}; register it with: wandb sweep --project ddsweep {output}", err=True)


def for_wandb(name: str, profile: str | None, set_: list[str] | None) -> str:
    from ddsweep import sweep
    from ddsweep.sweep import wandb as configurations

    one = sweep.load(name, profile, settings(set_))
    cells = len(one.cells)
    head = f"# {one.full_name}, {cells} cell{'s' * (cells != 1)}, written by ddsweep export --wandb\n"
    return head + configurations.text(configurations.configuration(one))
