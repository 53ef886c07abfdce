"""A sweep over α whose cells share their real branch, against the same sweep cell by cell.

``python -m benchmarks.sharing [--method dm,dc,dsa] [--target digits] [--set ipc=10] [--alphas 0,1,10] [--repeats 3]
[--json]``. Every cell is distilled twice, alone and sharing, in random order, so that other load affects both; the
first cell of each repeat computes the records that the others read. The bits of both sets must be the same. A cell is
timed with all that it does: reading, writing, drawing. The PTM that guides is a network as it is drawn: its weights
have no influence on time. Settings are those of the demo profile, or with ``--full`` those of the paper. ``--busy
--threads 1`` is for a CPU with other load: it measures CPU time, see ``machine.now``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import machine
from ddsweep import data, nn, rng
from ddsweep.data import Dataset
from ddsweep.distill.loop import distill
from ddsweep.numerics import Numerics
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.recipe import Recipe, make
from ddsweep.recipe.real_branch import real_branch
from ddsweep.settings import settings
from ddsweep.shared.budget import Budget
from ddsweep.shared.sharing import Sharing
from ddsweep.trackers import Tracker

ALPHAS = (0.0, 1.0, 10.0, 100.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0)  # ablation-alpha
DEMO: dict[str, Any] = {
    "ipc": 5, "width": 32, "iterations": 100, "batch_real": 64, "outer_loops": 2, "inner_epochs": 5,
}  # fmt: skip
FULL: dict[str, Any] = {"ipc": 10, "iterations": 20}
MODES = ("alone", "sharing")
HEADINGS = "method,cells,alone s,sharing s,ratio,first cell,another cell,records read,MB written"


@dataclass
class Times:
    """The seconds of each cell, by mode: a list per repeat.

    Attributes:
        seconds: by mode.
        read: shared tensors that were read.
        written: bytes of the records.
    """

    seconds: dict[str, list[list[float]]] = field(default_factory=lambda: {mode: [] for mode in MODES})
    read: int = 0
    written: int = 0

    def document(self, method: str) -> dict[str, Any]:
        """Return the row for ``--json``: medians over the repeats of ratios within one repeat."""
        repeats = list(zip(self.seconds["alone"], self.seconds["sharing"], strict=True))
        return {
            "method": method,
            "cells": len(self.seconds["alone"][0]),
            **{f"{mode}_s": statistics.median(map(sum, self.seconds[mode])) for mode in MODES},
            "ratio": statistics.median(sum(alone) / sum(sharing) for alone, sharing in repeats),
            "first_cell": statistics.median(sharing[0] / alone[0] for alone, sharing in repeats),
            "another_cell": statistics.median(sum(sharing[1:]) / sum(alone[1:]) for alone, sharing in repeats),
            "read": self.read,
            "written": self.written,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Bench:
    """What all cells have in common.

    Attributes:
        dataset: the real images.
        numerics: precision and compilation.
        busy: whether to measure CPU time.
    """

    dataset: Dataset
    numerics: Numerics
    busy: bool

    def measure(self, recipes: list[Recipe], repeats: int) -> Times:
        """Distill every cell in both modes, in random order.

        Raises:
            AssertionError: the two sets of a cell differ.
        """
        times, order = Times(), rng.generator(0, "order")
        self._distilled(recipes[0], None)  # warm-up
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
                for recipe in recipes:
                    sets = {}
                    for mode in MODES if torch.rand((), generator=order) < 0.5 else MODES[::-1]:
                        sets[mode], taken, read = self._distilled(recipe, Path(folder) if mode == "sharing" else None)
                        seconds[mode].append(taken)
                        times.read += read
                    assert torch.equal(*sets.values()), f"{recipe.method} with α = {recipe.alpha}: the sets differ"
                times.written = sum(path.stat().st_size for path in Path(folder).glob("*/records.bin"))
            for mode in MODES:
                times.seconds[mode].append(seconds[mode])
        return times

    def _distilled(self, recipe: Recipe, folder: Path | None) -> tuple[Tensor, float, int]:
        """Return the images, the seconds, and how many tensors were read."""
        pool = self._pool(recipe) if recipe.alpha else None
        device = self.numerics.device
        began = machine.now(device, self.busy)
        with closing(self._sharing(recipe, folder)) as shared:
            provided = {"shared": shared}
            streams = rng.Streams(recipe.seed)
            learned = distill(recipe, self.dataset, pool, streams, Tracker(), None, self.numerics, provided)
            read = sum(one["read"] for one in shared.counts().values())
        return learned.decode().images, machine.now(device, self.busy) - began, read

    def _sharing(self, recipe: Recipe, folder: Path | None) -> Sharing:
        budget = Budget() if folder is None else Budget(share=1.0)
        return Sharing.of(self.dataset, self.numerics, real_branch(recipe), budget=budget, folder=folder)

    def _pool(self, recipe: Recipe) -> Pool:
        dataset = self.dataset
        shape = {"channels": dataset.channels, "classes": len(dataset.classes), "size": dataset.size}
        net = nn.build(recipe.arch, **shape, width=recipe.width, generator=rng.generator(0, "ptm"))
        net = net.to(dataset.labels.device).requires_grad_(False).eval()
        return Pool([[PretrainedModel(recipe.arch, net, InputTransform(dataset.channels))]])


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows (``Times.document``) as a Markdown table."""
    lines = [HEADINGS.split(","), ["---", *["---:"] * HEADINGS.count(",")]]
    for row in rows:
        lines.append([
            row["method"], str(row["cells"]), f"{row['alone_s']:.2f}", f"{row['sharing_s']:.2f}", f"{row['ratio']:.2f}",
            f"{row['first_cell'] - 1:+.1%}", f"{row['another_cell']:.1%}", str(row["read"]),
            f"{row['written'] / 1e6:.1f}",
        ])  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    wanted = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    wanted.add_argument("--method", default="dm,dc,dsa", help="default: dm,dc,dsa")
    wanted.add_argument("--target", default="digits", help="dataset; default: digits")
    wanted.add_argument("--full", action="store_true", help="the networks and batches of the paper, 20 iterations")
    wanted.add_argument("--set", action="append", metavar="KEY=VALUE", help="a field of the recipe")
    wanted.add_argument("--alphas", default=",".join(f"{alpha:g}" for alpha in ALPHAS))
    wanted.add_argument("--repeats", type=int, default=3, help="default: 3")
    wanted.add_argument("--device", default="cpu")
    wanted.add_argument("--compile", choices=("on", "off"), default="off")
    wanted.add_argument("--threads", type=int, help="CPU threads; default: torch's")
    for name in ("busy", "json"):
        wanted.add_argument(f"--{name}", action="store_true")
    return wanted


def main() -> None:
    """Run the benchmark and print the result."""
    asked = parser().parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    bench = Bench(
        data.load(asked.target, device=asked.device),
        Numerics(compile=asked.compile == "on", device=asked.device),
        asked.busy,
    )
    fields = {"target": asked.target, **(FULL if asked.full else DEMO), **settings(asked.set)}
    if not asked.json:
        print(", ".join(f"{name} {value}" for name, value in machine.describe(asked.device).items()))
        print(f"{', '.join(f'{name} {value}' for name, value in fields.items())}\n\n{table([])}", flush=True)
    rows = []
    for method in asked.method.split(","):
        recipes = [make({**fields, "method": method, "alpha": float(alpha)}) for alpha in asked.alphas.split(",")]
        rows.append(bench.measure(recipes, asked.repeats).document(method))
        if not asked.json:
            print(table(rows[-1:]).splitlines()[-1], flush=True)
    if asked.json:
        print(json.dumps({"machine": machine.describe(asked.device), "fields": fields, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
