"""``ddsweep list``: list the sweeps that can be launched."""

from __future__ import annotations

from typing import Any

import typer

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Json, Profile, Runs
from ddsweep.errors import UserError


def list_(profile: Profile = None, runs: Runs = RUNS, as_json: Json = False) -> None:
    """List the sweeps: axis, number of cells, how many are done, and the question that each answers.

    A sweep that cannot be launched at this profile is left out, with the reason; the exit status is then 1.
    """
    from ddsweep import sweep
    from ddsweep.cli import display
    from ddsweep.results import stored

    rows: list[dict[str, Any]] = []
    errors: list[str] = []
    for name in sweep.names():
        try:
            loaded = sweep.load(name, profile)
        except UserError as error:
            errors.append(f"{name}: {error}")
            continue
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
    for line in errors:
        console.note(line)
    if errors:
        raise typer.Exit(1)
