"""``ddsweep status``: show the queue and the agents."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep import text
from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Json, Profile, Runs, Storage, complete_sweep
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Group

    from ddsweep.backends import Store

Optional = Annotated[
    str | None,
    typer.Argument(metavar="[NAME[@PROFILE]]", help="A launched sweep (default: all).", autocompletion=complete_sweep),
]
EVERY = 2.0  # seconds between two screens of --watch


def status(
    name: Optional = None,
    profile: Profile = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep refreshing until the queue is empty.")] = False,
    runs: Runs = RUNS,
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Show the progress of launched sweeps: cells, agents, and failures with their reasons."""
    from ddsweep import launches
    from ddsweep.cli import display, interrupt

    store = launches.reading(runs, storage)
    try:
        names = [launches.registered_name(name, profile)] if name else store.names()
        if as_json:
            console.write_json([record(store, sweep, runs) for sweep in names])
            return
        out = display.stdout()
        for line in dict.fromkeys(line for sweep in names for line in _absent_parts(store, sweep)):
            console.note(line)
        while True:
            views = [view_of(store, sweep, runs, out.width) for sweep in names]
            if watch and out.is_terminal:
                out.clear()
            for screen, notes, _ in views:
                out.print(screen)
                for note in notes:
                    out.say(f"  {note}")
            if not watch or all(drained for *_, drained in views):
                return
            time.sleep(EVERY)
    except KeyboardInterrupt as error:  # there is nothing to resume
        raise typer.Exit(interrupt.status(error)) from None
    finally:
        store.close()


def _absent_parts(store: Store, name: str) -> list[str]:
    """What this host lacks of the plugins of a sweep."""
    from ddsweep import launches

    try:
        return launches.absent_parts(launches.restored(store, name))
    except UserError:  # of another version; its screen says so
        return []


def view_of(store: Store, name: str, runs: Path, width: int) -> tuple[Group, list[str], bool]:
    """The screen of one sweep, notes with commands that must not be wrapped, and whether its queue is empty."""
    from rich.console import Group
    from rich.text import Text

    from ddsweep import again, launches
    from ddsweep.cli import advice, display, sweep_agents
    from ddsweep.launchers.slurm import control

    backend = store.sweep(name)
    progress, agents = backend.status(), sweep_agents.of(backend, runs, name)
    title = store.load_definition(name).title
    retry = again.other("agents", name, advice.RETRY)
    left_out = launches.left_out(launches.restored(store, name), runs)
    place, left = control.folder(runs, name), progress.size - progress.ended
    abandoned = control.abandoned(place, agents, left) if not sweep_agents.stop_asked(backend) else []
    notes = [*abandoned, *advice.on_leases(backend), *advice.on_failures(progress, retry), *left_out]
    stopping = sweep_agents.stopping(backend, agents)
    screen = display.screen(text.joined(name, title), progress, agents, stopping, width, whole=True)
    scheduled = control.joined(place, agents)
    group = Group(screen, *(Text(f"  {line}", no_wrap=True, overflow="ellipsis") for line in scheduled))
    return group, notes, progress.drained


def record(store: Store, name: str, runs: Path) -> dict[str, object]:
    """The status of one sweep as JSON."""
    from dataclasses import asdict

    from ddsweep import launches
    from ddsweep.cli import sweep_agents
    from ddsweep.launchers.slurm import control
    from ddsweep.results import stored

    backend = store.sweep(name)
    progress = backend.status()
    left_out = stored.collect(launches.restored(store, name), runs).left_out
    return {
        "name": name,
        "counts": {state.value: count for state, count in progress.counts.items()},
        "cells": [asdict(row) for row in progress.rows],
        "agents": [asdict(agent) for agent in sweep_agents.of(backend, runs, name)],
        "stopping": sweep_agents.stop_asked(backend),
        "left_out": {key: asdict(one) for key, one in left_out.items()},
        "slurm": control.listed(control.folder(runs, name)),
    }
