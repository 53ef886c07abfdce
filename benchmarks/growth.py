"""The cost of a step as the problem grows: images per class, classes, pixels, PTMs, agents that share a GPU.

``python -m benchmarks.speed --growth``. One quantity grows at a time, starting from 10 images per class, 10 classes,
and 32 pixels. Rows that would take longer than allowed, extrapolated from earlier rows, are listed but not run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from benchmarks import crowd, machine
from benchmarks.steps import Stop, Work, fast
from ddsweep import nn, rng
from ddsweep.checkpoints import Interrupted
from ddsweep.distill.loop import distill
from ddsweep.numerics import Numerics
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.recipe import make
from ddsweep.trackers import Tracker

SIZES: dict[str, tuple[int, ...]] = {"ipc": (1, 10, 50), "classes": (10, 100), "size": (32, 64, 224)}
POOLS = {1: (1, "convnet3"), 4: (4, "convnet3"), 40: (10, "convnet3+alexnet+vgg11+resnet18")}  # N_m, architectures
WARM = 2  # steps before the measurement
ROOM = 4 << 30  # bytes of real images on a CPU; on a GPU, half of its memory


@dataclass
class Pace:
    """Time steps of ddsweep's loop; the first two are warm-up.

    Attributes:
        device: device of the loop.
        repeats: number of measured steps.
        seconds: time after which no further step is started.
    """

    device: str
    repeats: int
    seconds: float
    found: list[float] = field(default_factory=list)

    def begin(self) -> None:
        """Start the clock."""
        if self.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(self.device)
        machine.synchronize(self.device)
        self._began = self._last = time.perf_counter()

    def __call__(self) -> bool:
        """Record the end of a step; return True after the last one."""
        machine.synchronize(self.device)
        now = time.perf_counter()
        self.found.append(now - self._last)
        self._last = now
        counted = len(self.found) - WARM
        return counted >= self.repeats or (counted > 0 and now - self._began > self.seconds)

    def row(self, images: int) -> dict[str, float]:
        """Return the measurements."""
        step = statistics.median(self.found[WARM:])
        memory = torch.cuda.max_memory_allocated(self.device) if self.device.startswith("cuda") else 0
        return {"step_s": step, "images_per_s": images / step, "bytes": memory, "counted": len(self.found) - WARM}


def rows(works: Sequence[Work], numerics: Numerics, repeats: int, seconds: float) -> list[dict[str, Any]]:
    """Yield every row of each method: ``{method, axis, value, step_s …}``, or ``{…, skipped: reason}``."""
    machine.set_up(numerics.precision, numerics.device)
    found: list[dict[str, Any]] = []
    for base in works:
        known: dict[Work, dict[str, float]] = {}
        for axis, value in _axes(base):
            work = replace(base, **{axis: value})  # type: ignore[arg-type]
            row = {"method": base.method, "axis": axis, "value": value}
            if work not in known:
                if why := _too_much(work, known, seconds):
                    found.append(row | {"skipped": why})
                    continue
                known[work] = _paced(work, numerics, repeats, seconds)
            found.append(row | known[work])
    if any(work.method == "dm" for work in works):
        dm = next(work for work in works if work.method == "dm")
        found += [{"method": "dm with CLoM", "axis": "N_m × N_a"} | _guided(dm, count, numerics) for count in POOLS]
        found += crowd.rows(dm, numerics, repeats) if dm.device.startswith("cuda") else []
    return found


def _axes(base: Work) -> Iterator[tuple[str, int]]:
    for axis, values in SIZES.items():
        if base.method == "ptm" and axis == "ipc":
            continue
        yield from ((axis, value) for value in values if base.size >= 32 or axis != "size" or value == base.size)


def _too_much(work: Work, known: dict[Work, dict[str, float]], seconds: float) -> str:
    """Return the reason not to run ``work``; empty if it can run."""
    real = work.dataset_bytes
    room = ROOM
    if work.device.startswith("cuda"):
        room = torch.cuda.get_device_properties(work.device).total_memory // 2
    if real > room:
        return f"{real / 2**30:.0f} GiB of real images for one step"
    expected = max((row["step_s"] * work.cost / other.cost for other, row in known.items()), default=0.0)
    if expected * (WARM + 1) > seconds:
        return f"a step would take about {expected:.0f} s"
    return ""


def _paced(work: Work, numerics: Numerics, repeats: int, seconds: float) -> dict[str, float]:
    torch.compiler.reset()
    pace = Pace(work.device, repeats, seconds)
    pace.begin()
    fast(work, numerics, pace)
    return pace.row(work.images)


def _guided(work: Work, count: int, numerics: Numerics, repeats: int = 5) -> dict[str, Any]:
    """Measure a step of DM guided by a pool of ``count`` untrained PTMs, one of which is drawn per step."""
    torch.compiler.reset()
    per_arch, archs = POOLS[count]
    shape = {"channels": 3, "classes": work.classes, "size": work.size, "width": work.width}

    def model(arch: str, index: int) -> PretrainedModel:
        net = nn.build(arch, **shape, generator=rng.generator(index, "ptm")).to(work.device)
        return PretrainedModel(arch, net.requires_grad_(False).eval(), InputTransform(3))

    pool = Pool([[model(arch, index) for index in range(per_arch)] for arch in archs.split("+")])
    recipe = make({
        "target": "cifar10", "method": "dm", "ipc": work.ipc, "width": work.width, "batch_real": work.batch,
        "ptm_archs": archs, "n_models": per_arch, "alpha": 1.0, "init": "noise",
    })  # fmt: skip
    pace = Pace(work.device, repeats * min(count, 4), 60.0)
    pace.begin()
    with suppress(Interrupted):
        distill(recipe, work.dataset(), pool, rng.Streams(0), Tracker(), Stop(pace), numerics)
    return {"value": count} | pace.row(work.images)


def table(found: Iterable[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| step | what grows | value | ms a step | images/s | GiB |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    for row in found:
        start = f"| {row['method']} | {row['axis']} | {row['value']} |"
        if "skipped" in row:
            lines.append(f"{start} not run: {row['skipped']} | | |")
            continue
        memory = f"{row['bytes'] / 2**30:.2f}" if row["bytes"] else "–"
        lines.append(f"{start} {1e3 * row['step_s']:.3g} | {row['images_per_s']:.0f} | {memory} |")
    return "\n".join(lines)
