"""``ddsweep export``: write synthetic sets and sweeps in the formats of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Profile, Runs, Settings, Storage, complete_sweep, settings
from ddsweep.errors import UserError, closest
from ddsweep.percent import percent
from ddsweep.text import plural

if TYPE_CHECKING:
    from ddsweep.exchange import Writer

FORMATS = ("pt", "vico", "folder", "hf")

What = Annotated[
    str,
    typer.Argument(
        metavar="KEY|NAME[@PROFILE][:A=1,B=2]",
        help="With --to: the key of a run (or a prefix of it), or a cell NAME:A=1. With --wandb: a sweep.",
        autocompletion=complete_sweep,
    ),
]
To = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(FORMATS),
        help="Format of the set: pt (MTT's tensors), vico (DC's dictionary), folder (PNG) or hf (Hugging Face).",
    ),
]
Space = Annotated[
    str,
    typer.Option(
        metavar="pixels|DATASET",
        help="Scaling of the values in pt and vico: pixels in [0, 1], or a dataset's statistics.",
        show_default=False,
    ),
]
Wandb = Annotated[bool, typer.Option("--wandb", help="Write the sweep as a configuration for `wandb sweep`.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="Where to write (default: exports/KEY-FORMAT; with --wandb, standard output).",
    ),
]


def export(
    name: What,
    profile: Profile = None,
    set_: Settings = None,
    to: To = None,
    space: Space = "",
    wandb: Wandb = False,
    output: Output = None,
    runs: Runs = RUNS,
    storage: Storage = None,
) -> None:
    """Write a synthetic set (--to) or a sweep (--wandb) for other programs.

    `ddsweep export ablation-alpha@demo:alpha=100 --to pt` writes images.pt, labels.pt, and ddsweep.json, which
    documents the normalization, the labels, and the origin of the images. --wandb writes a file for `wandb sweep FILE`;
    W&B's agents then run the sweep on their own.
    """
    if wandb and to:
        raise UserError("export: --wandb writes a sweep and --to a synthetic set; choose one")
    if to:
        from ddsweep import launches

        _write_set(launches.run_folder(name, profile, set_, runs, storage), to, space, output)
        return
    if not wandb:
        possible = f"--to {'|'.join(FORMATS)} (its images) or --wandb (a file for `wandb sweep`)"
        raise UserError(f"export: choose a format for {name}: {possible}")
    text = for_wandb(name, profile, set_)
    if output is None:
        console.write(text.rstrip("\n"))
        return
    from ddsweep import files

    files.write_text(output, text)
    console.note(f"wrote {output}; register it with: wandb sweep --project ddsweep {output}")


def for_wandb(name: str, profile: str | None, set_: list[str] | None) -> str:
    from ddsweep import sweep
    from ddsweep.sweep import wandb as configurations

    loaded = sweep.load(name, profile, settings(set_))
    cells = loaded.search.run_cap if loaded.search else len(loaded.cells)
    head = f"# {loaded.full_name}, {plural(cells, 'cell')}, written by ddsweep export --wandb\n"
    return head + configurations.text(configurations.configuration(loaded))


def _write_set(run: Path, to: str, space: str, output: Path | None) -> None:
    from ddsweep import exchange
    from ddsweep.cli import session
    from ddsweep.exchange import collect
    from ddsweep.exchange import space as spaces
    from ddsweep.exchange.folder import loss

    writer: Writer | None = exchange.WRITERS.get(to)
    if writer is None:
        raise UserError(f"to: unknown format {to!r}; {closest(to, exchange.WRITERS)}")
    image_set = collect.collect(run)
    channels = image_set.images.shape[1]
    if writer.pixels and space not in ("", "pixels"):
        raise UserError(f"space: {to} contains 8-bit pixels, which are not normalized (allowed: pixels)")
    if writer.pixels or space:
        image_set = spaces.restated(image_set, spaces.named(space or "pixels", channels))
    folder = output or Path("exports", f"{run.name}-{to}")
    if folder.is_file() or (writer.pixels and folder.is_dir() and any(folder.iterdir())):
        raise UserError(f"output: {folder} exists; choose a new folder")
    written = writer.write(image_set, folder)
    clipped = (
        f" ({percent(loss(image_set)['clipped_share'])} % of the values clipped to [0, 1])" if writer.pixels else ""
    )
    console.note(f"{image_set.facts.origin['title']}: {len(image_set.images)} images as {writer.about}{clipped}")
    console.echo(session.shown(written))
