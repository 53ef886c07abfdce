"""When compilation pays off on a CPU: what it costs, what it saves, and the work at which both are equal.

``python -m benchmarks.compilation [--method dm,dc,evaluation,ptm] [--precision float32] [--shape demo,paper]``. Each
row is measured in new processes with one thread: not compiled; compiled with an empty cache; and compiled with the
cache that this has filled. Times are CPU times of the process and of the compilers that it starts, so that other load
does not count. *Again* is the first step of another cell of the same shapes in the same process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine
from benchmarks.steps import Work, fast
from ddsweep import flops
from ddsweep.numerics import PAYS_OFF, Numerics

STEPS = 5  # per process, after the first one; the fastest counts
METHODS = ("dm", "dc", "evaluation", "ptm")
SHAPES: dict[str, dict[str, Any]] = {
    "demo": {"ipc": 5, "classes": 10, "size": 16, "width": 32, "batch": 64},
    "paper": {"ipc": 10, "classes": 2, "size": 32, "width": 128, "batch": 256},
}
# forward passes that an image costs: real ones of DM forward only, ours twice over in DC (``flops``)
PASSES = {"dm": (1, 3), "dc": (3, 6), "evaluation": (0, 3), "ptm": (3, 0)}


def spent() -> float:
    """Return the CPU seconds of this process and of the processes it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def steps(work: Work, numerics: Numerics, count: int) -> list[float]:
    """Return the CPU seconds of the first ``count`` steps."""
    took: list[float] = []
    began = spent()

    def boundary() -> bool:
        nonlocal began
        took.append(spent() - began)
        began = spent()
        return len(took) == count

    fast(work, numerics, boundary)
    return took


def here(work: Work, numerics: Numerics) -> dict[str, float]:
    """Return the seconds of the first step, of a later one, and of the first step of another cell."""
    first, *later = steps(work, numerics, 1 + STEPS)
    return {"first": first, "step": min(later), "again": steps(work, numerics, 1)[0]}


def elsewhere(words: list[str], compiled: str, cache: Path) -> dict[str, float]:
    """Return the same, measured in a new process."""
    told = {"TORCHINDUCTOR_CACHE_DIR": str(cache), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.compilation", "--child", *words, compiled]
    done = subprocess.run(command, env=os.environ | told, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def operations(work: Work) -> float:
    """Return the operations of a step, counted as for ``compile: auto``."""
    real, ours = PASSES[work.method]
    images = real * (work.batch if work.method == "ptm" else work.classes * work.batch)
    images += ours * work.classes * work.ipc
    return images * flops.forward(work.arch, 3, work.classes, work.size, work.width)


def row(method: str, precision: str, shape: str) -> dict[str, Any]:
    """Return one comparison."""
    words = [method, precision, shape]
    with tempfile.TemporaryDirectory() as folder:
        plain = elsewhere(words, "off", Path(folder))
        cold, warm = (elsewhere(words, "on", Path(folder)) for _ in range(2))
    saved = plain["step"] - cold["step"]
    found = {"steps": plain["step"] / cold["step"], "operations": operations(Work(method, **SHAPES[shape]))}
    for name, cost in (("cold", cold["first"]), ("warm", warm["first"])):
        found[name] = cost
        found[f"even_{name}"] = found["operations"] * cost / saved if saved > 0 else float("inf")
    names = {"method": method, "precision": precision, "shape": shape}
    return {**names, "plain_s": plain["step"], "fast_s": cold["step"], "again": warm["again"], **found}


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default=",".join(METHODS))
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--shape", default=",".join(SHAPES), help=", ".join(SHAPES))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.child:
        method, precision, shape, compiled = asked.child
        print(json.dumps(here(Work(method, **SHAPES[shape]), Numerics(precision, compiled == "on"))))
        return
    wanted = product(*(listed.split(",") for listed in (asked.method, asked.precision, asked.shape)))
    rows = (row(*words) for words in wanted)
    if asked.json:
        print(json.dumps({"machine": machine.describe("cpu"), "rows": list(rows)}, indent=2))
        return
    print(", ".join(f"{name} {value}" for name, value in machine.describe("cpu").items()))
    print("| step | precision | shape | ms | compiled ms | cold s | warm s | again s | even, cold | even, warm |")
    print("|---|---|---|---:|---:|---:|---:|---:|---:|---:|")
    evens = []
    for one in rows:
        evens.append(one["even_cold"])
        print(
            f"| {one['method']} | {one['precision']} | {one['shape']} | {1e3 * one['plain_s']:.3g} | "
            f"{1e3 * one['fast_s']:.3g} | {one['cold']:.1f} | {one['warm']:.1f} | {one['again']:.2f} | "
            f"{one['even_cold']:.1e} | {one['even_warm']:.1e} |",
            flush=True,
        )
    print(f"\nmedian, cold: {statistics.median(evens):.1e} operations; compile: auto: {PAYS_OFF['cpu']:.0e}")


if __name__ == "__main__":
    main()
