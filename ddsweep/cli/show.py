"""``ddsweep show``: show what a sweep consists of, before anything runs."""

from __future__ import annotations

import json

import typer

from ddsweep.cli.options import RUNS, Json, Name, Profile, Runs, Settings, settings


def show(name: Name, profile: Profile = None, set_: Settings = None, runs: Runs = RUNS, as_json: Json = False) -> None:
    """Show the cells of a sweep, the PTMs and datasets that they need, and which of these already exist."""
    from ddsweep import overview, sweep, text
    from ddsweep.cli import display

    loaded = sweep.load(name, profile, settings(set_))
    view = overview.of(loaded, runs)
    if as_json:
        typer.echo(json.dumps(view.as_dict(), indent=2, ensure_ascii=False))
        return
    out = display.stdout()
    out.print(f"[bold]{loaded.full_name}[/bold] · {loaded.title} · {text.plural(loaded.size, 'cell')}")
    display.table([*view.cell_rows()], heads=(*loaded.swept, "state", "shared with", "key"))
    out.print()
    for line in view.search_lines():
        out.print(line, soft_wrap=True)
    for line in view.needs_lines():
        out.print(line)
