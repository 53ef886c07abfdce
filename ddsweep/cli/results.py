"""``ddsweep results``: print the table of results."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Profile, Runs, Storage, complete_sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ddsweep.cli.screen import Console
    from ddsweep.results.tables.comparison import Comparison
    from ddsweep.results.tables.ranking import Ranking
    from ddsweep.results.tables.side_by_side import Part
    from ddsweep.results.tables.table import Table
    from ddsweep.sweep import Sweep


class Format(StrEnum):
    """How to print a table."""

    table = "table"
    csv = "csv"
    json = "json"
    markdown = "markdown"
    latex = "latex"


Names = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME[@PROFILE]…", help="Launched sweeps; several share one table.", autocompletion=complete_sweep
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="paper|NAME[@PROFILE]|FILE",
        help="Compare each entry with the paper's number, another sweep's, or the numbers in a saved .csv or .json.",
    ),
]
Where = Annotated[
    str | None,
    typer.Option(
        metavar="CONDITION",
        help="Show only these cells, for example \"method == 'dm' and ipc <= 10\". Baselines are always shown.",
    ),
]


def results(
    names: Names,
    profile: Profile = None,
    format_: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            case_sensitive=False,
            help="Output format; csv and json contain fractions, the others percentages.",
        ),
    ] = Format.table,
    against: Against = None,
    where: Where = None,
    runs: Runs = RUNS,
    storage: Storage = None,
) -> None:
    """Print the table of launched sweeps: mean ± std over seeds and networks, with significance tests.

    The tests compare each entry with the baseline.
    """
    from ddsweep import launches

    sweeps = [launches.finished(name, profile, runs, storage) for name in dict.fromkeys(names)]
    if len(sweeps) == 1 and sweeps[0].search and not against:
        show(sweeps[0], runs, where, format_)
        return
    parts = [_part(sweep, against, where, runs, storage) for sweep in sweeps]
    if format_ is Format.table:
        _show(parts)
    else:
        console.write(_text(parts, format_))


def _part(sweep: Sweep, against: str | None, where: str | None, runs: Path, storage: str | None) -> Part:
    from ddsweep.results import stored
    from ddsweep.results.tables import side_by_side, table

    built = table.build(sweep, stored.collect(sweep, runs).results, table.where(sweep, where) if where else None)
    return side_by_side.Part(sweep, built, compare(sweep, built, against, runs, storage) if against else None)


def compare(sweep: Sweep, built: Table, against: str, runs: Path, storage: str | None) -> Comparison:
    """What ``--against`` names beside a table."""
    from ddsweep import launches
    from ddsweep.results import stored
    from ddsweep.results.tables import comparison, saved, table

    if against.lower() == comparison.PAPER:
        return comparison.with_paper(sweep, built)
    if against.endswith(saved.SUFFIXES):
        return saved.compare(built, Path(against))
    other = launches.finished(against, None if "@" in against else sweep.profile, runs, storage)
    return comparison.with_sweep(sweep, built, other.full_name, table.build(other, stored.collect(other, runs).results))


def _text(parts: Sequence[Part], format_: Format) -> str:
    from ddsweep.results.tables import formats, latex, side_by_side

    if format_ is Format.latex:
        return "\n\n".join(latex.as_latex(part) for part in parts)
    if format_ is Format.markdown:
        return side_by_side.as_markdown(parts)
    write = {Format.csv: formats.as_csv, Format.json: formats.as_json}
    return write[format_](side_by_side.records(parts))


def _show(parts: Sequence[Part]) -> None:
    from ddsweep.cli import display
    from ddsweep.results.tables import side_by_side, terminal

    out = display.stdout()
    together = side_by_side.grid(parts)
    if side_by_side.fits(parts) and terminal.fits(together, out.width):
        out.print(terminal.grid(together))
        for remark in side_by_side.remarks(parts):
            out.print(remark, style="dim")
        return
    for part in parts:
        _show_one(out, part)


def _show_one(out: Console, part: Part) -> None:
    from ddsweep.results.tables import layout, terminal

    about, *tests = terminal.caption(part.table).split("\n")
    out.print(terminal.render(part.shown, out.width))
    out.print(f"{about} · {part.sweep.full_name}", style="dim")
    if part.compared:
        for remark in layout.remarks(part.compared):
            out.say(remark, style="dim")
    else:
        for test in tests:
            out.print(test, style="dim")
    for line in layout.failures(part.table):
        out.say(line)


def show(sweep: Sweep, runs: Path, where: str | None, format_: Format) -> None:
    """Print the trials of a search in a format."""
    from ddsweep import markup
    from ddsweep.cli import display
    from ddsweep.results.tables import formats, latex, ranking

    ranked = _ranked(sweep, runs, where)
    if format_.value == "table":
        screen(display.stdout(), ranked)
    elif format_.value == "markdown":
        remarks = map(markup.markdown, [ranking.caption(ranked), *ranking.failures(ranked)])
        console.write("\n\n".join([formats.pipes(ranking.grid(ranked)), *remarks]))
    elif format_.value == "latex":
        console.write(latex.as_ranked(ranked))
    else:
        write = {"csv": formats.as_csv, "json": formats.as_json}
        console.write(write[format_.value](ranking.records(ranked)))


def _ranked(sweep: Sweep, runs: Path, where: str | None) -> Ranking:
    from ddsweep.results import stored
    from ddsweep.results.tables import ranking, table

    return ranking.build(sweep, stored.collect(sweep, runs).results, runs, table.where(sweep, where) if where else None)


def screen(out: Console, ranked: Ranking, failures: bool = True) -> None:
    """The trials on a screen, and why trials have failed."""
    from ddsweep.results.tables import ranking
    from ddsweep.results.tables import terminal as screens

    out.print(screens.grid(ranking.grid(ranked)))
    out.say(ranking.caption(ranked), style="dim")
    for line in ranking.failures(ranked) if failures else ():
        out.say(line)
