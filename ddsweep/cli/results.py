"""``ddsweep results``: print the table of results."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Profile, Runs, Storage, complete_sweep
from ddsweep.errors import UserError

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


Cells = Annotated[
    bool, typer.Option("--cells", help="List the cells behind the numbers, with their states and keys, one per line.")
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
    cells: Cells = False,
    runs: Runs = RUNS,
    storage: Storage = None,
) -> None:
    """Print the table of launched sweeps: mean ± std over seeds and networks, with significance tests.

    The tests compare each entry with the baseline.
    """
    from ddsweep import launches

    sweeps = [launches.finished(name, profile, runs, storage) for name in dict.fromkeys(names)]
    if cells:
        if against:
            raise UserError("--cells: lists the cells of the sweeps themselves; use it without --against")
        _show_cells(sweeps, where, format_, runs)
        return
    if len(sweeps) == 1 and sweeps[0].search and not against:
        show(sweeps[0], runs, where, format_)
        return
    parts = [_part(sweep, against, where, runs, storage) for sweep in sweeps]
    if format_ is Format.table:
        _show(parts)
    else:
        console.write(_text(parts, format_))


def _show_cells(sweeps: Sequence[Sweep], where: str | None, format_: Format, runs: Path) -> None:
    """Print a line per cell in a format."""
    from ddsweep.cli import display
    from ddsweep.results import stored
    from ddsweep.results.tables import cells, formats, latex, table, terminal

    lines = [
        ({"sweep": sweep.full_name} if len(sweeps) > 1 else {}) | record
        for sweep in sweeps
        for record in cells.records(
            sweep, stored.collect(sweep, runs), table.where(sweep, where) if where else None
        )
    ]  # fmt: skip
    if format_ in (Format.csv, Format.json):
        console.write(formats.as_csv(lines) if format_ is Format.csv else formats.as_json(lines))
    elif format_ is Format.table:
        display.stdout().whole(terminal.grid(cells.grid(lines)))
    elif format_ is Format.markdown:
        console.write(formats.pipes(cells.grid(lines)))
    else:
        console.write(latex.as_cells(cells.grid(lines), ", ".join(sweep.full_name for sweep in sweeps)))


def _part(sweep: Sweep, against: str | None, where: str | None, runs: Path, storage: str | None) -> Part:
    from ddsweep.results import stored
    from ddsweep.results.tables import side_by_side, table

    built = table.build(sweep, stored.collect(sweep, runs), table.where(sweep, where) if where else None)
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
    return comparison.with_sweep(sweep, built, other.full_name, table.build(other, stored.collect(other, runs)))


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
        out.whole(terminal.grid(together))
        for remark in side_by_side.remarks(parts):
            out.print(remark, style="dim")
        for part in parts:
            show_groups(out, part.table)
        return
    for part in parts:
        _show_one(out, part)


def _show_one(out: Console, part: Part) -> None:
    from ddsweep.results.tables import layout, terminal

    about, *tests = terminal.caption(part.table, part.sweep).split("\n")
    notes = layout.notes(part.table)
    out.whole(terminal.render(part.shown, out.width))
    out.print(f"{about} · {part.sweep.full_name}", style="dim")
    if part.compared:
        for remark in layout.remarks(part.compared):
            out.say(remark, style="dim")
    for note in notes if part.compared else tests:
        out.say(note, style="dim")
    for line in layout.failures(part.table):
        out.say(line)
    show_groups(out, part.table)


def show_groups(out: Console, table: Table) -> None:
    """Print the accuracies by group, if the dataset of a sweep has attributes."""
    from ddsweep.results.tables import by_group, terminal

    if lines := terminal.groups(table, out.width):
        out.whole(lines)
        out.say(f"{by_group.CAPTION} · {table.name}", style="dim")


def show(sweep: Sweep, runs: Path, where: str | None, format_: Format) -> None:
    """Print the trials of a search in a format."""
    from ddsweep import markup
    from ddsweep.cli import display
    from ddsweep.results.tables import formats, latex, ranking

    ranked = _ranked(sweep, runs, where)
    if format_.value == "table":
        screen(display.stdout(), ranked)
    elif format_.value == "markdown":
        texts = [ranking.caption(ranked), *ranking.notes(ranked), *ranking.failures(ranked)]
        remarks = map(markup.markdown, texts)
        console.write("\n\n".join([formats.pipes(ranking.grid(ranked)), *remarks]))
    elif format_.value == "latex":
        console.write(latex.as_ranked(ranked))
    else:
        write = {"csv": formats.as_csv, "json": formats.as_json}
        console.write(write[format_.value](ranking.records(ranked)))


def _ranked(sweep: Sweep, runs: Path, where: str | None) -> Ranking:
    from ddsweep.results import stored
    from ddsweep.results.tables import ranking, table

    return ranking.build(sweep, stored.collect(sweep, runs), runs, table.where(sweep, where) if where else None)


def screen(out: Console, ranked: Ranking, failures: bool = True) -> None:
    """The trials on a screen, and why trials have failed."""
    from ddsweep.results.tables import ranking
    from ddsweep.results.tables import terminal as screens

    out.whole(screens.grid(ranking.grid(ranked)))
    for line in (ranking.caption(ranked), *ranking.notes(ranked)):
        out.say(line, style="dim")
    for line in ranking.failures(ranked) if failures else ():
        out.say(line)
