"""``ddsweep doctor``: check that ddsweep works on this machine, and how to fix what does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from ddsweep.cli.options import RUNS, Json, Runs, Storage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.table import Table

    from ddsweep.doctor import Finding, Place

STYLES = {"ok": "green", "warning": "yellow", "broken": "bold red"}


def doctor(runs: Runs = RUNS, storage: Storage = None, as_json: Json = False) -> None:
    """Check libraries, GPUs, disks, storage, W&B, and the cache on this machine; each problem has a suggested fix.

    Nothing is changed. The exit status is 0 if ddsweep works, even with warnings, and 1 if a check failed.
    """
    from dataclasses import asdict

    from ddsweep import files, launches
    from ddsweep.cli import display
    from ddsweep.doctor import Place, State

    place = Place(runs, launches.url(runs, storage), files.cache_dir())
    findings = list(_findings(place))
    counts = {state: sum(one.state is state for one in findings) for state in State}
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in findings], indent=2, ensure_ascii=False))
    else:
        out = display.stdout()
        out.print(screen(findings))
        out.print(summary(counts[State.BROKEN], counts[State.WARNING]), soft_wrap=True)
    raise typer.Exit(1 if counts[State.BROKEN] else 0)


def screen(findings: Iterable[Finding]) -> Table:
    """One line per check, with the suggested fix below it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in findings:
        table.add_row(Text(one.state.value, STYLES[one.state.value]), Text(one.name, "bold"), Text(one.found))
        if one.cure:
            table.add_row("", "", Text(f"→ {one.cure}"))
    return table


def summary(broken: int, warnings: int) -> str:
    """The last line."""
    said = f"{warnings} warning{'s' * (warnings != 1)}"
    if broken:
        things = "1 thing" if broken == 1 else f"{broken} things"
        return f"{things} will not work{f', {said}' if warnings else ''}"
    return f"it works here{f'; {said}' if warnings else ': ddsweep launch ablation-alpha --profile demo'}"


def _findings(place: Place) -> Iterator[Finding]:
    """Look, and show on a terminal what is being looked at."""
    from rich.console import Console

    from ddsweep.doctor import examine

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield from examine(place)
        return
    with console.status("starting") as status:
        yield from examine(place, lambda name: status.update(f"looking at {name}"))
