"""``ddsweep results``: the table."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli.options import RUNS, Name, Profile, Runs, Storage

if TYPE_CHECKING:
    from ddsweep.results.against import Comparison
    from ddsweep.results.table import Table
    from ddsweep.sweep import Sweep


class Format(StrEnum):
    """How to print a table."""

    table = "table"
    csv = "csv"
    json = "json"
    markdown = "markdown"


Against = Annotated[
    str | None,
    typer.Option(metavar="paper|NAME[@PROFILE]", help="Beside each entry the paper's number, or another sweep's."),
]


def results(
    name: Name,
    profile: Profile = None,
    format_: Annotated[
        Format, typer.Option("--format", "-f", help="Files hold fractions, screens per cent.")
    ] = Format.table,
    against: Against = None,
    runs: Runs = RUNS,
    storage: Storage = None,
) -> None:
    """The table of a launched sweep: mean ± std over seeds and networks, and the difference to the baseline."""
    from ddsweep.cli import stores
    from ddsweep.results import formats, table

    one = stores.finished(name, profile, runs, storage)
    built = table.build(one, table.collect(one, runs))
    compared = _compare(one, built, against, runs, storage) if against else None
    if format_ is Format.table:
        _show(one, built, compared)
    else:
        write = {Format.csv: formats.as_csv, Format.json: formats.as_json, Format.markdown: formats.as_markdown}
        typer.echo(write[format_](compared or built))


def _compare(one: Sweep, built: Table, against: str, runs: Path, storage: str | None) -> Comparison:
    from ddsweep.cli import stores
    from ddsweep.results import against as beside
    from ddsweep.results import table

    if against == beside.PAPER:
        return beside.with_paper(one, built)
    other = stores.finished(against, None if "@" in against else one.profile, runs, storage)
    return beside.with_sweep(one, built, other.full_name, table.build(other, table.collect(other, runs)))


def _show(one: Sweep, built: Table, compared: Comparison | None) -> None:
    from ddsweep.cli import console
    from ddsweep.results import layout, screen

    out = console.stdout()
    out.print(screen.render(compared or built, out.width))
    out.print(f"{screen.caption(built)} · {one.full_name}", style="dim")
    for remark in layout.remarks(compared) if compared else []:
        out.print(remark, style="dim", soft_wrap=True)
