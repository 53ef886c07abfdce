"""``ddsweep data``: the datasets, what the cache has of them, and how to get them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli.options import Json

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ddsweep.data.archives import Progress

data = typer.Typer(no_args_is_help=True, help="The datasets: what there is, and what of it is here.")


def complete_dataset(incomplete: str) -> list[tuple[str, str]]:
    """Datasets for the shell's completion, with where they come from; plugins are not imported for it."""
    from ddsweep.registry import datasets

    return [(row.name, row.origin) for row in datasets.TABLE.rows.values() if row.name.startswith(incomplete)]


Dataset = Annotated[
    str, typer.Argument(metavar="NAME", help="A dataset, or imagefolder:PATH.", autocompletion=complete_dataset)
]


@data.command("list")
def list_(as_json: Json = False) -> None:
    """All datasets: classes, size in pixels, images, what is in the cache, on which terms."""
    from ddsweep import data as datasets
    from ddsweep.cli import display

    holdings = datasets.holdings()
    if as_json:
        rows = [
            {
                "name": one.row.name, "classes": len(one.row.classes), "channels": one.row.channels,
                "size": one.row.size, "train": one.row.images[0], "test": one.row.images[1], "state": one.state,
                "disk_bytes": one.disk, "licence": one.row.license, "source": one.row.origin,
            }
            for one in holdings
        ]  # fmt: skip
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    display.table(
        [
            {
                "name": one.row.name, "classes": len(one.row.classes), "size": one.row.size,
                "images": "+".join(str(count or "?") for count in one.row.images), "state": one.state,
                "disk": amount(one.disk), "licence": one.row.license, "source": one.row.origin.partition(":")[0],
            }
            for one in holdings
        ],
        heads=("NAME", "CLASSES", "SIZE", "IMAGES", "STATE", "DISK", "LICENSE", "SOURCE"),
    )  # fmt: skip


@data.command()
def fetch(
    name: Dataset,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="PATH", help="Where you have its archives, packed or unpacked; else: download."),
    ] = None,
) -> None:
    """Get a dataset, check it, and decode it into the cache; what was cut off goes on where it stopped."""
    from ddsweep.data import store
    from ddsweep.registry import datasets

    row = datasets.info(name)
    with _bars() as tell:
        path = store.fetch(name, source, tell)
    typer.echo(f"{name}: {path} ({amount(path.stat().st_size)})")
    if row.license:
        typer.echo(f"license: {row.license}; source: {row.origin}", err=True)


@data.command()
def verify(name: Dataset) -> None:
    """Compare the archives and the decoded images with their checksums; status 1 if one is damaged."""
    from ddsweep.data import store

    findings = store.verify(name)
    for one in findings:
        typer.echo(f"{one.state:<9}  {one.what:<18}  {one.path}")
    if any(one.wrong for one in findings):
        typer.echo(f"to mend it: ddsweep data fetch {name}", err=True)
        raise typer.Exit(1)


@contextmanager
def _bars() -> Iterator[Progress]:
    """A bar per download on stderr; nothing where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    from ddsweep.data import archives

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield archives.quiet
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bars(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(name: str, here: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=here, total=total)

        yield tell


def amount(size: int) -> str:
    """Bytes for people: ``614 MB``; nothing is ``–``."""
    if not size:
        return "–"
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}" if size < 10 * factor else f"{size / factor:.0f} {unit}"
    return f"{max(1, round(size / 1e3))} kB"
