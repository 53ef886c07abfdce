"""The gain from advancing several cells in lockstep (``distill.lockstep``), against the same cells one by one.

``python -m benchmarks.groups [--cells 3,9] [--device cpu] [--ipc 10] [--size 32] [--width 128] [--alpha 1] [--turns 5]
[--vectorize] [--json]``. DM with CLoM on noise; the cells differ in α. Both ways take their turns in random order, and
the ratio is the median of the turns' ratios. ``host`` is the CPU time of this process in a step of one cell, what a GPU
with small steps waits for; ``operations`` is what PyTorch starts for it, without views. On a GPU the synthetic images
of all cells are one batch; on a CPU only with ``--vectorize``.
"""

from __future__ import annotations

import argparse
import json
import random  # noqa: TID251  (the order of turns, not a result)
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import machine
from benchmarks.steps import Work
from ddsweep import rng
from ddsweep.data import Dataset
from ddsweep.distill.lockstep import advance_together
from ddsweep.distill.loop import Distillation
from ddsweep.numerics import Numerics
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.recipe import make
from ddsweep.trackers import Tracker

WARM_UP = 2  # steps
GRAIN = 0.2  # seconds: a turn has as many steps of all cells as one by one take in this time
ENDLESS = 10**8  # iterations: nothing is logged meanwhile


@dataclass(frozen=True)
class Row:
    """One comparison; all numbers are per step and cell.

    Attributes:
        cells: cells of the group.
        alone_s: seconds one by one, by turn.
        group_s: seconds in lockstep, by turn.
        alone_host_s: CPU seconds of this process one by one, by turn.
        group_host_s: likewise in lockstep.
        alone_operations: operations one by one.
        group_operations: likewise in lockstep.
    """

    cells: int
    alone_s: list[float]
    group_s: list[float]
    alone_host_s: list[float]
    group_host_s: list[float]
    alone_operations: float
    group_operations: float

    @property
    def ratio(self) -> float:
        """The median of the turns' ratios."""
        return _ratio(self.alone_s, self.group_s)

    @property
    def host_ratio(self) -> float:
        """The same of the CPU time."""
        return _ratio(self.alone_host_s, self.group_host_s)

    def line(self) -> str:
        """The row for people."""
        return (
            f"{self.cells:>5}  {_ms(self.alone_s)}  {_ms(self.group_s)}  {self.ratio:>5.2f}   "
            f"{_ms(self.alone_host_s)}  {_ms(self.group_host_s)}  {self.host_ratio:>5.2f}   "
            f"{self.alone_operations:>5.0f}  {self.group_operations:>5.0f}"
        )


def _ratio(alone: list[float], group: list[float]) -> float:
    return statistics.median(slow / quick for slow, quick in zip(alone, group, strict=True))


def _ms(seconds: list[float]) -> str:
    return f"{1e3 * statistics.median(seconds):>8.2f}"


class Operations(TorchDispatchMode):
    """Counts operations that are no views: a GPU starts at least one kernel for each."""

    number = 0

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.number += not func.is_view
        return func(*args, **(kwargs or {}))


def cells(count: int, work: Work, dataset: Dataset, numerics: Numerics, alpha: float) -> list[Distillation]:
    """Cells that differ in α; each has its own object of the one PTM, as in an agent."""
    found = []
    for index in range(count):
        choices = {"target": "cifar10", "size": work.size, "ipc": work.ipc, "width": work.width, "arch": work.arch}
        recipe = make({**choices, "method": "dm", "alpha": alpha * (index + 1), "iterations": ENDLESS})
        net = work.network(1).requires_grad_(False).eval()
        model = PretrainedModel(work.arch, net, InputTransform(3), identity="ptm")
        pool = Pool([[model]]) if recipe.ptm_archs else None
        found.append(Distillation.start(recipe, dataset, pool, rng.Streams(0), Tracker(), numerics=numerics))
    return found


def one_by_one(some: list[Distillation]) -> None:
    """Take one step of each cell."""
    for one in some:
        one.advance()


def compare(count: int, work: Work, numerics: Numerics, alpha: float, turns: int) -> Row:
    """Measure one size of group."""
    dataset = work.dataset()
    ways: dict[Callable[[list[Distillation]], None], list[Distillation]] = {
        one_by_one: cells(count, work, dataset, numerics, alpha),
        advance_together: cells(count, work, dataset, numerics, alpha),
    }
    wall: dict[Any, list[float]] = {way: [] for way in ways}
    host: dict[Any, list[float]] = {way: [] for way in ways}
    operations: dict[Any, float] = {}
    for way, some in ways.items():
        for _ in range(WARM_UP):
            way(some)
        with Operations() as counter:
            way(some)
        operations[way] = counter.number / count
    steps = max(1, round(GRAIN / _seconds(one_by_one, ways[one_by_one], 1, work.device)[0]))
    for _ in range(turns):
        for way in random.sample(list(ways), len(ways)):
            seconds, busy = _seconds(way, ways[way], steps, work.device)
            wall[way].append(seconds / count)
            host[way].append(busy / count)
    return Row(
        count, wall[one_by_one], wall[advance_together], host[one_by_one], host[advance_together],
        operations[one_by_one], operations[advance_together],
    )  # fmt: skip


def _seconds(
    way: Callable[[list[Distillation]], None], some: list[Distillation], steps: int, device: str
) -> tuple[float, float]:
    """Seconds, and CPU seconds of this process, of one step of all cells."""
    began, busy = machine.now(device), time.process_time()
    for _ in range(steps):
        way(some)
    spent = time.process_time() - busy  # before this process waits for the device
    return (machine.now(device) - began) / steps, spent / steps


def main() -> None:
    """Print the comparisons."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.groups", description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", default="3,9")
    parser.add_argument("--device", default="cpu")
    for name, default in (("ipc", 10), ("size", 32), ("width", 128), ("turns", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--vectorize", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    work = Work("dm", given.ipc, size=given.size, width=given.width, device=given.device)
    numerics = Numerics(device=given.device, vectorize=True if given.vectorize else None)
    counts = [int(count) for count in given.cells.split(",")]
    rows = [compare(count, work, numerics, given.alpha, given.turns) for count in counts]
    if given.json:
        found = [asdict(row) | {"ratio": row.ratio, "host_ratio": row.host_ratio} for row in rows]
        print(json.dumps({"machine": machine.describe(given.device), "rows": found}))
        return
    print(f"ms per step and cell; {machine.describe(given.device)}")
    print("cells     alone     group  ratio   host of    of the  ratio   operations")
    print("                                     alone     group            alone  group")
    for row in rows:
        print(row.line())


if __name__ == "__main__":
    main()
