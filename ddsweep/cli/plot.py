"""``ddsweep plot``: draw the figures of a launched sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep import again
from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Device, Name, Profile, Runs, Storage
from ddsweep.errors import UserError, closest, in_one_line

if TYPE_CHECKING:
    from ddsweep.sweep import Picture


def complete_kind(incomplete: str) -> list[str]:
    """Complete the kind of a figure."""
    from ddsweep import sweep

    return [kind for kind in sweep.PICTURES if kind.startswith(incomplete)]


Kind = Annotated[
    str | None,
    typer.Option(
        "--kind",
        "-k",
        metavar="accuracy|grid|classes|tsne",
        help="Draw only this figure: accuracy or image grid along the axis, accuracy by class, or t-SNE (default: the "
        "figures that suit the sweep).",
        autocompletion=complete_kind,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER|FILE",
        help="A folder (default: RUNS/NAME@PROFILE), or a .png, .pdf or .svg file for a single figure.",
    ),
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
    """Draw the figures of a launched sweep from its finished cells, and print their paths."""
    from ddsweep import device as devices
    from ddsweep import launches
    from ddsweep.cli import session

    chosen = _kind(kind) if kind is not None else None
    launched = launches.finished(name, profile, runs, storage)
    device = devices.resolve(device)[0]

    from ddsweep.results.plots import gallery
    from ddsweep.results.plots.style import Output

    where = Output.of(output) if output else None
    kinds = [chosen] if chosen else gallery.kinds(launched)
    if where and where.stem:  # one file, one figure
        kinds = kinds[:1]
    if set(kinds) & {"grid", "tsne"}:
        launches.report_missing_images(launched, runs)
    drawn, failed = 0, []
    for each in kinds:
        try:
            for path in gallery.write(each, launched, runs, where, device, console.note):
                drawn += 1
                console.echo(session.shown(path))
        except Exception as error:  # the others are drawn
            failed.append(f"{each}: {in_one_line(error)}" if len(kinds) > 1 else in_one_line(error))
    if failed:
        for line in failed[:-1]:
            console.note(f"error: {line}")
        raise UserError(failed[-1])
    if not drawn:
        raise UserError(
            f"{launched.full_name}: no cell is finished yet; see {again.other('status', launched.full_name)}"
        )


def _kind(name: str) -> Picture:
    from ddsweep import sweep

    for kind in sweep.PICTURES:
        if kind == name:
            return kind
    raise UserError(f"kind: unknown figure {name!r}; {closest(name, sweep.PICTURES)}")
