"""``ddsweep list``: list the sweeps that can be launched."""

from __future__ import annotations

import json

import typer

from ddsweep.cli.options import RUNS, Json, Profile, Runs


def list_(profile: Profile = None, runs: Runs = RUNS, as_json: Json = False) -> None:
    """List the sweeps: axis, number of cells, how many are done, and the question that each answers."""
    from ddsweep import launches, sweep
    from ddsweep.cli import display

    rows = []
    for name in sweep.names():
        one = sweep.load(name, profile)
        done = launches.computed(one, runs)
        asks = one.title + (f" ({one.paper})" if one.paper else "")
        rows.append({"name": name, "axis": " × ".join(one.axis), "cells": one.size, "done": done, "asks": asks})
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        display.table(rows, heads=("NAME", "AXIS", "CELLS", "DONE", "WHAT IT ASKS"))
