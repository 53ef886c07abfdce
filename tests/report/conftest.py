"""A sweep of two methods and three α, as its agents would have left it: finished, failed and waiting cells."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch

from ddsweep import data, pictures, rng, sweep
from ddsweep.backends.values import Point, Row, State, Status
from ddsweep.results.result import Result
from ddsweep.sweep import Cell, Sweep

RUNS = Path("runs")
SETTINGS = {"method": ["dsa", "dm"], "alpha": [0, 1, 100], "ipc": 2, "iterations": 8}
BEGAN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
STEPS = (0, 4, 8)
SECONDS = {"pretrain": 1.0, "distill": 20.0, "evaluate": 9.0}


@dataclass
class Finished:
    """What there is of a sweep.

    Attributes:
        sweep: the sweep.
        runs: its run folders.
        rows: what the storage says of its cells, by key.
    """

    sweep: Sweep
    runs: Path
    rows: dict[str, Row]

    @property
    def status(self) -> Status:
        return Status(self.sweep.full_name, [self.rows[cell.key] for cell in self.sweep.cells])

    def cell(self, method: str, alpha: float) -> Cell:
        return next(one for one in self.sweep.cells if (one.recipe.method, one.recipe.alpha) == (method, alpha))

    def become(self, cell: Cell, state: State, reasons: tuple[str, ...] = ()) -> None:
        """A cell that has no result."""
        self.rows[cell.key] = Row(
            Point(cell.key, dict(cell.point), cell.key), state, len(reasons), reasons[-1] if reasons else "",
            reasons=reasons,
        )  # fmt: skip

    def complete(self, cell: Cell, accuracies: list[float], reasons: tuple[str, ...] = ()) -> None:
        """A cell with result, metrics and pictures."""
        recipe, folder = cell.recipe, self.runs / cell.key
        classes = data.info(recipe.target).classes
        Result(
            recipe, accuracies={"convnet3": accuracies}, class_accuracy={"convnet3": [0.5] * len(classes)},
            seconds=SECONDS, device="cpu (two threads)", versions={"torch": "2.9.0"},
            git={"commit": "c0ffee", "dirty": True}, data={"digits": "d1g175"},
        ).write(folder)  # fmt: skip
        lines = [{"step": step, "loss/match": 9.0 - step, "loss/regularizer": 0.5} for step in range(1, 9)]
        (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '{"step": 9, "lo')
        (folder / "images").mkdir()
        for step in STEPS:
            images = torch.rand(len(classes), 2, 1, 16, 16, generator=rng.generator(0, cell.key, str(step)))
            for path in (folder / "images" / f"synthetic_{step:06d}.png", folder / "synthetic.png"):
                path.write_bytes(pictures.grid(images, classes).png)
        real = torch.rand(len(classes), 2, 1, 16, 16, generator=rng.generator(0, "real"))
        (folder / "real.png").write_bytes(pictures.grid(real, classes).png)
        started, finished = BEGAN, BEGAN + timedelta(minutes=2)
        self.rows[cell.key] = Row(
            Point(cell.key, dict(cell.point), cell.key), State.COMPLETE, 1 + len(reasons), agent="here:cpu:0",
            started=started, finished=finished, reasons=reasons,
        )  # fmt: skip


@pytest.fixture
def finished() -> Finished:
    """All six cells are done; DM is best at α = 100, and one of its cells needed two attempts."""
    one = Finished(sweep.load("ablation-alpha", "demo", SETTINGS), RUNS, {})
    for index, cell in enumerate(one.sweep.cells):
        tried = ("CUDA out of memory",) if cell == one.cell("dm", 1.0) else ()
        one.complete(cell, [0.5 + 0.01 * index, 0.52 + 0.01 * index], tried)
    return one
