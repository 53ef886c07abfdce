"""``ddsweep results``: the table."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ddsweep.cli.options import RUNS, Name, Profile, Runs, Storage


class Format(StrEnum):
    """How to print a table."""

    table = "table"
    csv = "csv"
    json = "json"
    markdown = "markdown"


def results(
    name: Name,
    profile: Profile = None,
    format_: Annotated[
        Format, typer.Option("--format", "-f", help="Files hold fractions, screens per cent.")
    ] = Format.table,
    runs: Runs = RUNS,
    storage: Storage = None,
) -> None:
    """The table of a launched sweep: mean ± std over seeds and networks, and the difference to the baseline."""
    from ddsweep.cli import console, stores
    from ddsweep.results import formats, screen, table

    one = stores.launched(name, profile, runs, storage)
    built = table.build(one, table.collect(one, runs))
    if format_ is Format.table:
        out = console.stdout()
        out.print(screen.render(built, out.width))
        out.print(f"{screen.caption(built)} · {one.full_name}", style="dim")
    else:
        typer.echo(
            {Format.csv: formats.as_csv, Format.json: formats.as_json, Format.markdown: formats.as_markdown}[format_](
                built
            )
        )
