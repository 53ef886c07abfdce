"""What a sweep consists of: cells and their state, the sweeps that share them, the PTMs and data they need."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ddsweep import data, sweep
from ddsweep.errors import UserError
from ddsweep.pretrained import spec
from ddsweep.results import result as results
from ddsweep.sweep import Sweep


@dataclass(frozen=True)
class Overview:
    """A sweep before, during or after it runs, from files alone.

    Attributes:
        sweep: the sweep.
        states: ``done``, ``failed`` or ``waiting`` by key.
        shared: by key, the other sweeps of this profile that contain the cell.
        ptms: the PTMs with the epochs that are needed, and those of them that are in the pool.
        datasets: the datasets, and whether each is decoded in the cache.
    """

    sweep: Sweep
    states: dict[str, str]
    shared: dict[str, list[str]]
    ptms: dict[spec.Spec, tuple[list[int], list[int]]]
    datasets: dict[str, bool]

    def cell_rows(self) -> Iterator[dict[str, Any]]:
        """A record per cell."""
        for cell in self.sweep.cells:
            point = {name: "–" if value == "" else value for name, value in cell.point.items()}
            state = self.states[cell.key]
            if self.sweep.is_baseline(cell.recipe):
                state += " (baseline)"
            yield point | {"state": state, "shared with": ", ".join(self.shared[cell.key]), "key": cell.key}

    def search_lines(self) -> Iterator[str]:
        """How a search draws its points, in words."""
        search = self.sweep.search
        if search is None:
            return
        yield f"{search.method} draws {search.run_cap} points when agents ask for them"
        for name in self.sweep.swept:
            yield f"      {name}: {self.sweep.describe(name)}"
        if search.early:
            bands = " and ".join(map(str, search.early.bands))
            parts = f"{bands} of {search.early.iterations} parts"
            yield f"      at {parts} of a distillation the best 1/{search.early.eta} go on"
        if len(search.objectives) > 1:
            yield f"      maximises {', '.join(search.objectives)}: results marks the front"

    def needs_lines(self) -> Iterator[str]:
        """The PTMs and datasets in words; PTMs that differ in their seed alone, and are as far, share a line."""
        alike: dict[tuple[spec.Spec, tuple[int, ...], tuple[int, ...]], list[spec.Spec]] = {}
        for one, (needed, saved) in self.ptms.items():
            alike.setdefault((replace(one, seed=0), tuple(needed), tuple(saved)), []).append(one)
        for (_, epochs, there), ptms in alike.items():
            yield f"PTM   {_ptm_line(ptms, epochs, there)}"
        for name, ready in self.datasets.items():
            yield f"data  {name}: {'decoded' if ready else f'not decoded yet ({data.info(name).origin})'}"

    def as_dict(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "sweep": self.sweep.definition(),
            "size": self.sweep.size,
            "cells": [
                {"key": cell.key, "point": cell.point, "state": self.states[cell.key], "shared": self.shared[cell.key]}
                for cell in self.sweep.cells
            ],
            "ptms": [
                {"ptm": one.title, "folder": str(one.folder), "epochs": needed, "in_pool": saved}
                for one, (needed, saved) in self.ptms.items()
            ],
            "datasets": self.datasets,
        }


def _ptm_line(ptms: Sequence[spec.Spec], needed: Sequence[int], saved: Sequence[int]) -> str:
    first, count = ptms[0], len(ptms)
    if first.foundation:
        return f"{first.title}: {'in the pool' if saved else f'not yet in the pool; ddsweep pretrain {first.source}'}"
    seeds = " ".join(str(one.seed) for one in ptms)
    title = first.title if count == 1 else f"{first.arch} on {first.source}, seeds {seeds}"
    missing = len(set(needed) - set(saved))
    trainings = "one training" if count == 1 else f"{count} trainings"
    state = f"{trainings}, {missing} of {len(needed)} epochs not yet in the pool" if missing else "in the pool"
    return f"{title}, epochs {' '.join(map(str, needed))}: {state}"


def of(one: Sweep, runs: Path) -> Overview:
    """Look at the files of ``one``."""
    states = {}
    for cell in one.cells:
        result = results.read(runs / cell.key)
        states[cell.key] = "waiting" if result is None else "done" if result.state == "complete" else "failed"
    needs = spec.needs(one.recipes)
    ptms = {ptm: (sorted(epochs), sorted(epochs & ptm.saved())) for ptm, epochs in needs.items()}
    wanted = spec.datasets(one.recipes)
    datasets = {name: data.is_prepared(name, size) for name, size in wanted}
    return Overview(one, states, _shared(one), ptms, datasets)


def users() -> dict[spec.Spec, list[str]]:
    """For every PTM of a sweep that has a name, at every scale: the sweeps, as ``NAME@PROFILE``, that use it."""
    found: dict[spec.Spec, list[str]] = {}
    for profile, name in itertools.product(sweep.profiles(), sweep.names()):
        try:
            one = sweep.load(name, profile)
        except UserError:  # a file with an error uses nothing; `list` names the error
            continue
        for ptm in spec.needs(one.recipes):
            found.setdefault(ptm, []).append(one.full_name)
    return found


def _shared(one: Sweep) -> dict[str, list[str]]:
    """For every cell, the other sweeps at this scale in which it stands: it is computed once for all of them."""
    others: dict[str, set[str]] = {}
    for name in sweep.names():
        if name == one.name:
            continue
        try:
            others[name] = {cell.key for cell in sweep.load(name, one.profile).cells}
        except UserError:  # a file with an error shares nothing; `list` names the error
            continue
    return {cell.key: [name for name, keys in others.items() if cell.key in keys] for cell in one.cells}
