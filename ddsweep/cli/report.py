"""``ddsweep report``: write a sweep as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Name, Profile, Runs, Storage

if TYPE_CHECKING:
    from ddsweep.backends import Status
    from ddsweep.results.tables.comparison import Comparison
    from ddsweep.sweep import Sweep

Against = Annotated[
    str | None,
    typer.Option(
        metavar="paper|NAME[@PROFILE]|FILE", help="Numbers to compare with (default: the paper's, if it has any)."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="File to write (default: RUNS/NAME@PROFILE/report.html)."),
]
Open = Annotated[bool, typer.Option("--open", help="Open the report in the browser.")]


def report(
    name: Name,
    profile: Profile = None,
    against: Against = None,
    output: Output = None,
    open_: Open = False,
    runs: Runs = RUNS,
    storage: Storage = None,
) -> None:
    """Write a launched sweep as one HTML file to share: table, plots, images, failures, cost, and provenance."""
    from ddsweep import launches
    from ddsweep import report as reports
    from ddsweep.cli import session

    sweep = launches.finished(name, profile, runs, storage)
    launches.report_damaged_files(sweep, runs)
    compared = _compare(sweep, against, runs, storage) if against else None
    material = reports.Material.of(sweep, runs, _status(sweep, runs, storage), compared)
    path = output or runs / sweep.full_name / "report.html"
    reports.write(material, path)
    console.echo(session.shown(path))
    if open_:
        typer.launch(path.absolute().as_uri())


def _compare(sweep: Sweep, against: str, runs: Path, storage: str | None) -> Comparison:
    from ddsweep.cli import results
    from ddsweep.results import stored
    from ddsweep.results.tables import table

    return results.compare(sweep, table.build(sweep, stored.collect(sweep, runs)), against, runs, storage)


def _status(sweep: Sweep, runs: Path, storage: str | None) -> Status:
    from ddsweep import launches

    store = launches.reading(runs, storage)
    try:
        return store.sweep(sweep.full_name).status()
    finally:
        store.close()
