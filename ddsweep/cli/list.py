"""``ddsweep list``: list the sweeps that can be launched."""

from __future__ import annotations

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Json, Profile, Runs


def list_(profile: Profile = None, runs: Runs = RUNS, as_json: Json = False) -> None:
    """List the sweeps: axis, number of cells, how many are done, and the question that each answers."""
    from ddsweep import launches, sweep
    from ddsweep.cli import display

    rows = []
    for name in sweep.names():
        loaded = sweep.load(name, profile)
        done = launches.computed(loaded, runs)
        asks = loaded.title + (f" ({loaded.paper})" if loaded.paper else "")
        rows.append({"name": name, "axis": " × ".join(loaded.axis), "cells": loaded.size, "done": done, "asks": asks})
    if as_json:
        console.write_json(rows)
    else:
        display.table(rows, heads=("NAME", "AXIS", "CELLS", "DONE", "QUESTION"))
