"""The speed of ddsweep relative to the published loops: both run in turn, with the same work and the same draws.

``python -m benchmarks.speed [--method dm,dc,dsa,evaluation,ptm] [--device cuda] [--precision float32,tf32,bf16]
[--compile on,off] [--growth | --profile] [--json]``; ``--quick`` is small enough for a test. Images are noise.
``--busy --threads 1`` is for a CPU with other load: it measures CPU time, see ``machine.now``.

Turns of ddsweep's loop and of the plain loop (``benchmarks.plain``, eager and in float32) come in pairs, in random
order, so that other load affects both; the ratio is the median of the pairs' ratios. The first step of each, including
compilation if it is enabled, is not counted but reported as warm-up; code that was compiled earlier comes from the disk
cache.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any, cast, get_args

import torch

from benchmarks import growth, machine, profile
from benchmarks.steps import METHODS, Work
from benchmarks.turns import GRAIN, Conditions, compare
from ddsweep.numerics import Numerics, Precision

HEADINGS = "step,precision,compiled,plain ms,fast ms,ratio,images/s,GiB plain,GiB fast,peak plain,peak fast,warm-up s"


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows (``Row.document``) as a Markdown table."""
    lines = [HEADINGS.split(","), ["---", *["---:"] * HEADINGS.count(",")]]
    for row in rows:
        work, nets = row["work"], row["work"]["nets"]
        name = work["method"] + (f", {nets} networks" if nets > 1 else "") + (" together" if row["together"] else "")
        memory = [f"{row[key] / 2**30:.2f}" if row[key] else "–" for key in ("plain_bytes", "fast_bytes")]
        lines.append([
            name, row["precision"], "yes" if row["compile"] else "no", f"{1e3 * row['plain_median_s']:.3g}",
            f"{1e3 * row['fast_median_s']:.3g}", f"{row['ratio']:.2f}", f"{row['images_per_s']:.0f}", *memory,
            f"{row['plain_share']:.0%}", f"{row['fast_share']:.0%}", f"{row['warm_up_s']:.1f}",
        ])  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def header(device: str, peaks: dict[str, float]) -> str:
    """Return one line for machine and versions, and one for the peaks."""
    about = ", ".join(f"{name} {value}" for name, value in machine.describe(device).items())
    most = ", ".join(f"{name} {1e-12 * rate:.3g}" for name, rate in peaks.items())
    return f"{about}\npeak TFLOP/s (best of matrix products and convolutions, measured in this run): {most}"


def _some_of(*allowed: str) -> Callable[[str], list[str]]:
    def words(text: str) -> list[str]:
        if unknown := [word for word in text.split(",") if word not in allowed]:
            raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; choose from {', '.join(allowed)}")
        return text.split(",")

    return words


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    precisions = get_args(Precision)
    wanted = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    wanted.add_argument("--method", type=_some_of(*METHODS), default=list(METHODS), help=",".join(METHODS))
    wanted.add_argument("--device", default="cpu")
    wanted.add_argument(
        "--precision", type=_some_of(*precisions), default=["float32", "bf16"], help=",".join(precisions)
    )
    wanted.add_argument("--compile", type=_some_of("off", "on"), default=["off", "on"], help="off,on")
    wanted.add_argument("--together", choices=("auto", "on", "off"), default="auto", help="see Numerics.vectorize")
    for name, value in {"ipc": 10, "classes": 10, "size": 32, "width": 128, "batch": 256, "nets": 1}.items():
        wanted.add_argument(f"--{name}", type=int, default=value, help=f"default: {value}")
    wanted.add_argument("--repeats", type=int, default=5, help="turns per row")
    wanted.add_argument("--seconds", type=float, default=60.0, help="maximum per row of --growth")
    wanted.add_argument("--busy", action="store_true", help="measure CPU time, on a CPU with other load")
    wanted.add_argument("--threads", type=int, help="CPU threads; default: torch's")
    for name in ("growth", "profile", "quick", "json"):
        wanted.add_argument(f"--{name}", action="store_true")
    return wanted


def main() -> None:
    """Run the benchmark and print the result."""
    asked = parser().parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    if asked.quick:
        asked.width, asked.batch, asked.ipc, asked.classes, asked.size, asked.repeats = 4, 8, 2, 3, 16, 2
    shape = {name: getattr(asked, name) for name in ("ipc", "classes", "size", "width", "batch", "nets", "device")}
    works = [Work(method, **shape) for method in asked.method]
    together = None if asked.together == "auto" else asked.together == "on"
    ways = [
        Numerics(cast(Precision, precision), compiled == "on", asked.device, together)
        for precision, compiled in product(asked.precision, asked.compile)
    ]
    if asked.profile:
        for work, way in product(works, ways):
            print(profile.of(work, way))
        return
    if asked.growth:
        found = growth.rows(works, ways[0], asked.repeats, asked.seconds)
        print(json.dumps(found, indent=2) if asked.json else growth.table(found))
        return
    peaks = {
        name: machine.peak(name, asked.device, asked.quick, asked.busy)
        for name in dict.fromkeys(["float32", *asked.precision])
    }
    under = Conditions(peaks, asked.repeats, 0.0 if asked.quick else GRAIN, asked.busy)
    rows = (compare(work, way, under).document() for work, way in product(works, ways))
    if asked.json:
        print(
            json.dumps(
                {"machine": machine.describe(asked.device), "busy": asked.busy, "peaks": peaks, "rows": list(rows)},
                indent=2,
            )
        )
        return
    print(f"{header(asked.device, peaks)}\n\n{table([])}", flush=True)
    for row in rows:  # print each row at once: it may take minutes
        print(table([row]).splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
