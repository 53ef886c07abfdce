"""``ddsweep data``: list, fetch and verify datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddsweep import again, text
from ddsweep.cli import console, reading
from ddsweep.cli.options import Json
from ddsweep.cli.register import register

if TYPE_CHECKING:
    from ddsweep.data.paths import Holding

group = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode="rich", help="List, fetch, and verify datasets."
)


def complete_dataset(incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a dataset; the shell shows its origin. Plugins are not imported for this."""
    from ddsweep.registry import datasets

    return [
        (row.name, console.as_help(row.origin))
        for row in datasets.TABLE.rows.values()
        if row.name.startswith(incomplete)
    ]


Dataset = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of a dataset, cmnist:align=0.95,severity=2, or imagefolder:PATH.",
        autocompletion=complete_dataset,
    ),
]


def list_(as_json: Json = False) -> None:
    """List all datasets: classes, image size in pixels, number of images, state in the cache, and license."""
    from ddsweep import data as datasets
    from ddsweep.cli import display

    holdings = datasets.holdings()
    if as_json:
        console.write_json([_record(holding) for holding in holdings])
        return
    heads = ("NAME", "CLASSES", "SIZE", "IMAGES", "STATE", "DISK", "LICENSE", "SOURCE")
    display.table([_row(holding) for holding in holdings], heads)


def _record(holding: Holding) -> dict[str, Any]:
    row = holding.row
    return {
        "name": row.name,
        "classes": len(row.classes),
        "channels": row.channels,
        "size": row.size,
        "train": row.images[0],
        "test": row.images[1],
        "state": holding.state,
        "disk_bytes": holding.disk,
        "licence": row.license,
        "source": row.origin,
    }


def _row(holding: Holding) -> dict[str, Any]:
    row = holding.row
    return {
        "name": row.name,
        "classes": len(row.classes),
        "size": row.size,
        "images": "+".join(str(count or "?") for count in row.images),
        "state": holding.state,
        "disk": text.data_size(holding.disk) if holding.disk else "–",
        "licence": row.license,
        "source": row.origin.partition(":")[0],
    }


def fetch(
    name: Dataset,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="File or folder with its archives, packed or unpacked, or with what a biased dataset is made from "
            "(default: download them).",
        ),
    ] = None,
) -> None:
    """Download a dataset, verify it, and decode it into the cache. An interrupted download resumes."""
    from ddsweep.data import store
    from ddsweep.registry import datasets

    row = datasets.info(name)
    with reading.shown():
        path = store.fetch(name, source)
    console.echo(f"{name}: {path} ({text.data_size(path.stat().st_size)})")
    if row.license:
        console.note(f"license: {row.license}; source: {store.origin(row)}")


def verify(name: Dataset) -> None:
    """Compare the archives and the decoded images with their checksums.

    The exit status is 1 if one is damaged.
    """
    from ddsweep.data import store

    findings = store.verify(name)
    for finding in findings:
        console.echo(f"{finding.state:<9}  {finding.what:<18}  {finding.path}")
    if any(finding.wrong for finding in findings):
        console.note(f"to repair it: {again.other('data', 'fetch', name)}")
        raise typer.Exit(1)


for function in (list_, fetch, verify):
    register(group, function, function.__name__.rstrip("_"))
