"""``ddsweep plot``: the pictures of a launched sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddsweep.cli.options import RUNS, Device, Name, Profile, Runs, Storage
from ddsweep.errors import UserError, closest


def complete_kind(incomplete: str) -> list[str]:
    """Kinds of pictures for the shell's completion."""
    from ddsweep import sweep

    return [kind for kind in sweep.PICTURES if kind.startswith(incomplete)]


Kind = Annotated[
    str | None,
    typer.Option(
        "--kind",
        "-k",
        metavar="grid|classes|tsne",
        help="Only these: images along the axis, accuracy by class, or t-SNE. Default: those of the sweep file.",
        autocompletion=complete_kind,
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Where to; default: RUNS/NAME@PROFILE.")
]


def plot(
    name: Name,
    profile: Profile = None,
    kind: Kind = None,
    output: Output = None,
    device: Device = "auto",
    runs: Runs = RUNS,
    storage: Storage = None,
) -> None:
    """Draw the pictures of a launched sweep again, from what is finished, and print their paths."""
    from ddsweep import device as devices
    from ddsweep import sweep
    from ddsweep.cli import session, stores

    kinds = [one for one in sweep.PICTURES if one == kind]
    if kind is not None and not kinds:
        raise UserError(f"kind: no picture {kind!r}; {closest(kind, sweep.PICTURES)}")
    launched = stores.finished(name, profile, runs, storage)
    on = devices.slots(device)[0]

    from ddsweep.results import gallery

    written = [
        path
        for one in kinds or launched.pictures
        for path in gallery.write(one, launched, runs, output, on, lambda line: typer.echo(line, err=True))
    ]
    stores.tell_bare(launched, runs)
    if not written:
        raise UserError(f"{launched.full_name}: no cell is finished yet; see: ddsweep status {launched.full_name}")
    for path in written:
        typer.echo(session.shown(path))
