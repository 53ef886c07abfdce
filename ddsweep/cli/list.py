"""``ddsweep list``: list the sweeps that can be launched."""

from __future__ import annotations

from typing import Any

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Json, Profile, Runs


def list_(profile: Profile = None, runs: Runs = RUNS, as_json: Json = False) -> None:
    """List the sweeps: axis, number of cells, how many are done, and the question that each answers."""
    from ddsweep import sweep
    from ddsweep.cli import display
    from ddsweep.results import stored

    rows: list[dict[str, Any]] = []
    for name in sweep.names():
        loaded = sweep.load(name, profile)
        found = stored.collect(loaded, runs)
        faults = {fault.value: len(found.keys(fault)) for fault in stored.Fault if found.keys(fault)}
        asks = loaded.title + (f" ({loaded.paper})" if loaded.paper else "")
        axis, done = " × ".join(loaded.axis), len(found.results)
        rows.append({"name": name, "axis": axis, "cells": loaded.size, "done": done, "asks": asks, "left_out": faults})
    if as_json:
        console.write_json(rows)
    else:
        for row in rows:
            if faults := row.pop("left_out"):
                row["done"] = ", ".join([str(row["done"]), *(f"{count} {fault}" for fault, count in faults.items())])
        display.table(rows, heads=("NAME", "AXIS", "CELLS", "DONE", "QUESTION"))
