"""``ddsweep export``: write synthetic sets and sweeps in the formats of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Profile, Runs, Settings, Storage, complete_sweep, settings
from ddsweep.errors import UserError
from ddsweep.text import plural

if TYPE_CHECKING:
    from ddsweep.exchange import Writer

FORMATS = ("pt", "vico", "idc", "folder", "hf")

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
        help="Format of the set: pt (MTT's tensors), vico (DC's dictionary), idc (IDC's data.pt), folder (PNG) or "
        "hf (Hugging Face).",
    ),
]
Space = Annotated[
    str,
    typer.Option(
        metavar="unit|symmetric|bytes|DATASET",
        help="Scaling of the values in pt and vico: pixels in [0, 1], [-1, 1], or [0, 255], or normalized with the "
        "statistics of DATASET (default: as in the trial).",
        show_default=False,
    ),
]
Bits = Annotated[
    int,
    typer.Option(
        metavar="8|16", help="Bits per channel of the PNG files of --to folder (default: 8).", show_default=False
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
    bits: Bits = 0,
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
        from ddsweep import exchange, launches

        _write_set(launches.run_folder(name, profile, set_, runs, storage), exchange.writer(to, bits), space, output)
        return
    if not wandb:
        possible = f"--to {'|'.join(FORMATS)} (its images) or --wandb (a file for `wandb sweep`)"
        raise UserError(f"export: choose a format for {name}: {possible}")
    text = for_wandb(name, profile, set_, runs, storage)
    if output is None:
        console.write(text.rstrip("\n"))
        return
    from ddsweep import again, files

    files.write_text(output, text)
    console.note(
        f"wrote {output}; register it with: {again.written('wandb', 'sweep', '--project', 'ddsweep', str(output))}"
    )


def for_wandb(name: str, profile: str | None, set_: list[str] | None, runs: Path, storage: str | None) -> str:
    from ddsweep import launches
    from ddsweep.sweep import wandb as configurations

    loaded = launches.planned(name, profile, settings(set_), runs, storage)
    cells = loaded.search.run_cap if loaded.search else len(loaded.cells)
    head = f"# {loaded.full_name}, {plural(cells, 'cell')}, written by ddsweep export --wandb\n"
    return head + configurations.text(configurations.configuration(loaded))


def _write_set(run: Path, writer: Writer, space: str, output: Path | None) -> None:
    from ddsweep.cli import session
    from ddsweep.exchange import collect
    from ddsweep.exchange import space as spaces
    from ddsweep.exchange.folder import loss

    image_set = collect.collect(run)
    if writer.pixels and space not in ("", spaces.UNIT):
        raise UserError(f"space: {writer.name} contains pixels, which are not normalized (allowed: {spaces.UNIT})")
    if writer.pixels or space:
        image_set = spaces.restated(image_set, spaces.named(space or spaces.UNIT, image_set.images.shape[1]))
    folder = output or Path("exports", f"{run.name}-{writer.name}")
    if folder.is_file() or (writer.bits and folder.is_dir() and any(folder.iterdir())):
        raise UserError(f"output: {folder} exists; choose a new folder")
    written = writer.write(image_set, folder)
    what = plural(len(image_set.images), "image")
    if grids := image_set.grids:
        what += f", decoded from {len(grids.images)} (factor {grids.factor}),"
    console.note(f"{image_set.facts.origin['title']}: {what} as {writer.about}")
    if writer.bits:
        console.note(f"{loss(image_set, writer.bits)}; this can change accuracies. {_advice(writer)}")
    console.echo(session.shown(written))


def _advice(writer: Writer) -> str:
    """What loses less."""
    floats = "--to pt and --to vico keep the learned values"
    if writer.bits == 16:
        return f"{floats}. Pillow, and so torchvision, reads 16-bit RGB as 8-bit, and 16-bit gray as white"
    finer = "; --to folder --bits 16 rounds to 1/65535, but clips as many" if writer.name == "folder" else ""
    return floats + finer
