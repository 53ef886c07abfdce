"""The results of a search, as ``ddsweep results`` and ``ddsweep launch`` show them: trials, best first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from ddsweep.cli.results import Format
    from ddsweep.results.ranking import Ranking
    from ddsweep.sweep import Sweep


def show(one: Sweep, runs: Path, where: str | None, format_: Format) -> None:
    """Print the trials of a search in a format."""
    from ddsweep.cli import console
    from ddsweep.results import formats, latex, ranking

    ranked = _ranked(one, runs, where)
    if format_.value == "table":
        screen(console.stdout(), ranked)
    elif format_.value == "markdown":
        typer.echo(f"{formats.pipes(ranking.grid(ranked, '**{}**'))}\n\n{ranking.caption(ranked)}")
    elif format_.value == "latex":
        typer.echo(latex.as_ranked(ranked))
    else:
        write = {"csv": formats.as_csv, "json": formats.as_json}
        typer.echo(write[format_.value](ranking.records(ranked)))


def _ranked(one: Sweep, runs: Path, where: str | None) -> Ranking:
    from ddsweep.results import ranking, select, table

    return ranking.build(one, table.collect(one, runs), runs, select.where(one, where) if where else None)


def screen(out: Console, ranked: Ranking) -> None:
    """The trials on a screen."""
    from ddsweep.results import ranking
    from ddsweep.results import screen as screens

    out.print(screens.grid(ranking.grid(ranked, "[bold]{}[/bold]")))
    out.print(ranking.caption(ranked), style="dim", soft_wrap=True)
