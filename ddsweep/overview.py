"""The contents of a sweep: cells and their states, the sweeps that share them, the PTMs and datasets they need."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ddsweep import again, data, sweep, text
from ddsweep.errors import UserError
from ddsweep.pretrained import spec
from ddsweep.recipe import absent, real_branch
from ddsweep.recipe.real_branch import Common
from ddsweep.registry.image_folders import notes
from ddsweep.registry.ptms import describe
from ddsweep.results import stored
from ddsweep.results.tables.naming import Labels
from ddsweep.shared import budget
from ddsweep.sweep import Sweep


@dataclass(frozen=True)
class Overview:
    """A sweep before, during or after its run, as read from files.

    Attributes:
        sweep: the sweep.
        states: by key, ``done``, ``failed``, ``not launched``, what the queue says (``waiting``, ``running``,
            ``pruned``; ``missing``: complete without files here), or why a result is left out (``stored.Fault``).
        shared: by key, the other sweeps at this profile that contain the cell.
        ptms: by PTM, the epochs that are needed and those of them that are in the pool.
        datasets: by dataset, whether it is decoded in the cache.
        left_out: why results are left out of the table, line by line.
        earlier: the keys of further cells of the table, which earlier launches have run.
        common: how many cells read what another one computes of real images; None if sharing is off.
    """

    sweep: Sweep
    states: dict[str, str]
    shared: dict[str, list[str]]
    ptms: dict[spec.Spec, tuple[list[int], list[int]]]
    datasets: dict[str, bool]
    left_out: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    common: Common | None = None

    def cell_rows(self) -> Iterator[dict[str, Any]]:
        """One record per cell."""
        labels = Labels.of_sweep(self.sweep)
        for cell in self.sweep.cells:
            point = {
                name: labels.text(name, value) if value not in ("", None) else "–" for name, value in cell.point.items()
            }
            state = self.states[cell.key]
            if self.sweep.is_baseline(cell.recipe):
                state += " (baseline)"
            yield point | {"state": state, "shared with": ", ".join(self.shared[cell.key]), "key": cell.key}

    def search_lines(self) -> Iterator[str]:
        """How a search samples its points, line by line."""
        search = self.sweep.search
        if search is None:
            return
        seeds = f", each with the seeds {', '.join(map(str, self.sweep.seeds))}" if self.sweep.seeds else ""
        yield f"{search.method} samples {search.run_cap} points{seeds}, whenever an agent asks for one"
        for name in self.sweep.swept:
            if name == "seed" and self.sweep.seeds:
                continue
            yield f"      {name}: {self.sweep.describe(name)}"
        if search.early:
            bands = " and ".join(map(str, search.early.bands))
            parts = f"{bands} of {search.early.iterations} parts"
            yield f"      after {parts} of a distillation, only the best 1/{search.early.eta} continue"
        if len(search.objectives) > 1:
            yield f"      maximizes {', '.join(search.objectives)}; results marks the Pareto front"

    def alpha_lines(self) -> Iterator[str]:
        """The weights of CLoM in cells where they differ by architecture, line by line."""
        cells = [cell.recipe for cell in self.sweep.cells if cell.recipe.alpha_by_arch]
        weights = {(one.method, one.dataset, one.ipc, one.alpha, one.alpha_by_arch): one.ptm_alphas for one in cells}
        for (method, target, ipc, alpha, _), by_arch in weights.items():
            others = {arch: weight for arch, weight in by_arch.items() if weight != alpha}
            texts = [f"{weight:g} for {arch}" for arch, weight in others.items()] + [f"{alpha:g} for the others"]
            yield f"α     {method} on {target}, ipc {ipc}, several architectures: {', '.join(texts)}"

    def needs_lines(self) -> Iterator[str]:
        """The PTMs and datasets as lines; PTMs that differ only in their seed and have the same epochs share a line."""
        alike: dict[tuple[spec.Spec, tuple[int, ...], tuple[int, ...]], list[spec.Spec]] = {}
        for ptm, (needed, saved) in self.ptms.items():
            alike.setdefault((replace(ptm, seed=0), tuple(needed), tuple(saved)), []).append(ptm)
        for (_, wanted, present), ptms in alike.items():
            yield f"{'TM' if ptms[0].is_expert else 'PTM':<5} {_ptm_line(ptms, wanted, present)}"
        for name, ready in self.datasets.items():
            yield f"data  {name}: {'decoded' if ready else f'not decoded yet ({data.info(name).origin})'}"
            yield from notes(name)

    def common_lines(self) -> Iterator[str]:
        """How many cells read the real branch that another one computes."""
        if self.common is not None and (line := self.common.line()):
            yield f"share {line}"

    def earlier_lines(self) -> Iterator[str]:
        """How to see the cells of earlier launches that the table has too."""
        if self.earlier:
            command = again.other("results", self.sweep.full_name, "--cells")
            yield f"the table also has {text.plural(len(self.earlier), 'cell')} of earlier launches: {command}"

    def left_out_lines(self) -> Iterator[str]:
        """Why results are left out of the table, and how to compute them again."""
        yield from self.left_out
        if self.left_out:
            yield f"to compute these cells again: {again.other('launch', *sweep.relaunch(self.sweep), '--recompute')}"

    def as_dict(self) -> dict[str, Any]:
        """The overview as JSON."""
        return {
            "sweep": self.sweep.definition(),
            "size": self.sweep.size,
            "cells": [
                {
                    "key": cell.key,
                    "point": cell.point,
                    "alphas": cell.recipe.ptm_alphas,
                    "state": self.states[cell.key],
                    "shared": self.shared[cell.key],
                }
                for cell in self.sweep.cells
            ],
            "ptms": [
                {"ptm": ptm.title, "folder": str(ptm.folder), "epochs": needed, "in_pool": saved}
                for ptm, (needed, saved) in self.ptms.items()
            ],
            "datasets": self.datasets,
            "readers": self.common.readers if self.common else 0,
            "left_out": list(self.left_out),
            "earlier": list(self.earlier),
        }


def _ptm_line(ptms: Sequence[spec.Spec], needed: Sequence[int], saved: Sequence[int]) -> str:
    first, count = ptms[0], len(ptms)
    if first.foundation and first.foundation.maker:
        return f"{first.title}: made in each trial by {describe(first.foundation)}"
    if first.foundation:
        download = f"not yet in the pool; download it with: ddsweep pretrain {first.source}"
        return f"{first.title}: {'in the pool' if saved else download}"
    listed, kind = (text.ranges, "experts") if first.is_expert else (text.listed, "seeds")
    title = first.title if count == 1 else f"{first.arch} on {first.domain}, {kind} {listed(ptm.seed for ptm in ptms)}"
    missing = len(set(needed) - set(saved))
    state = f"to train, {missing} of {len(needed)} epochs not yet in the pool" if missing else "in the pool"
    return f"{title}, epochs {listed(needed)}: {state}"


def of(loaded: Sweep, runs: Path, before: Sweep | None = None) -> Overview:
    """Read the files of a sweep.

    Args:
        loaded: the sweep.
        runs: the runs folder.
        before: the sweep as it is registered, with its progress; None: it is not.
    """
    found = stored.collect(loaded, runs)
    states = dict.fromkeys((cell.key for cell in loaded.cells), "not launched")
    queue = {key: one.state for key, one in before.progress.items()} if before else {}
    states |= {key: "missing" if queue[key] == "complete" else queue[key] for key in states.keys() & queue.keys()}
    states |= {key: "done" if result.state == "complete" else "failed" for key, result in found.results.items()}
    states |= {key: one.fault.value for key, one in found.left_out.items()}
    here = [recipe for recipe in loaded.recipes if not absent.lines([recipe])]  # not those of missing plugins
    needs = spec.needs(here)
    ptms = {ptm: (sorted(epochs), sorted(epochs & ptm.saved())) for ptm, epochs in needs.items()}
    wanted = spec.datasets(here)
    datasets = {name: data.is_prepared(name, size) for name, size in wanted}
    common = real_branch.common(here) if budget.from_environment() else None
    earlier = _earlier(states, before)
    return Overview(loaded, states, _shared(loaded), ptms, datasets, tuple(found.lines()), earlier, common)


def _earlier(states: Collection[str], before: Sweep | None) -> tuple[str, ...]:
    """The ended and running cells of earlier launches only; points that a search draws again are its own."""
    if before is None:
        return ()
    own = before.kept_choices if before.search else before.progress
    return tuple(
        key for key, one in before.progress.items() if key in own and key not in states and one.state != "waiting"
    )


def users() -> dict[spec.Spec, list[str]]:
    """By PTM, the sweeps that use it, as ``NAME@PROFILE``, among all named sweeps at all profiles."""
    by_ptm: dict[spec.Spec, list[str]] = {}
    for profile, name in itertools.product(sweep.profiles(), sweep.names()):
        try:
            loaded = sweep.load(name, profile)
        except UserError:  # an invalid file uses nothing; `list` reports the error
            continue
        for ptm in spec.needs(loaded.recipes):
            by_ptm.setdefault(ptm, []).append(loaded.full_name)
    return by_ptm


def _shared(loaded: Sweep) -> dict[str, list[str]]:
    """By cell key, the other sweeps at this profile that contain the cell; it is computed once for all of them."""
    others: dict[str, set[str]] = {}
    for name in sweep.names():
        if name == loaded.name:
            continue
        try:
            others[name] = {cell.key for cell in sweep.load(name, loaded.profile).cells}
        except UserError:  # an invalid file shares nothing; `list` reports the error
            continue
    return {cell.key: [name for name, keys in others.items() if cell.key in keys] for cell in loaded.cells}
