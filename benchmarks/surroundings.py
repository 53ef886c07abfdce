"""The gain from the environment of a process that computes (``ddsweep.environment``), on a CPU.

``python -m benchmarks.surroundings [--method dm,dc,evaluation,ptm] [--precision float32,bf16] [--compile on,off]
[--threads N] [--turns 3] [--width 128]``. Steps of the plain loop and of ddsweep's run in new processes with and
without it, in random order; the ratio is the median of the turns' ratios. Times are CPU times, see ``machine.now``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from itertools import product
from typing import get_args

import torch

from benchmarks import BARE, machine
from benchmarks.steps import Work, fast, plainly
from benchmarks.turns import orders
from ddsweep.environment import ALLOCATOR, VARIABLES
from ddsweep.numerics import Numerics, Precision

STEPS = 4  # per process, after one warm-up step; their median counts
METHODS = ("dm", "dc", "evaluation", "ptm")


def seconds(loop: str, method: str, precision: str, compiled: str, threads: int, width: int) -> float:
    """Return the seconds of a step in this process."""
    torch.set_num_threads(threads)
    took: list[float] = []
    began = machine.now("cpu", busy=True)

    def boundary() -> bool:
        nonlocal began
        ended = machine.now("cpu", busy=True)
        took.append(ended - began)
        began = ended
        return len(took) > STEPS

    work = Work(method, classes=2, width=width)
    if loop == "plain":
        steps = plainly(work)
        next(steps)
        while not boundary():
            next(steps)
    else:
        fast(work, Numerics(precision, compiled == "on"), boundary)  # type: ignore[arg-type]
    return statistics.median(took[1:])


def elsewhere(words: list[str], surrounded: bool) -> float:
    """Return the seconds of a step in a new process."""
    told = {name: value for name, value in os.environ.items() if name not in {*VARIABLES, *ALLOCATOR, BARE}}
    told |= {} if surrounded else {BARE: "1", "OMP_WAIT_POLICY": VARIABLES["OMP_WAIT_POLICY"]}
    command = [sys.executable, "-m", "benchmarks.surroundings", "--child", *words]
    return float(subprocess.run(command, env=told, check=True, capture_output=True, text=True).stdout)


def turn(words: list[str], without_first: bool) -> tuple[float, float]:
    """Return the seconds of a step without the environment and with it, measured in this order."""
    order = (False, True) if without_first else (True, False)
    found = {surrounded: elsewhere(words, surrounded) for surrounded in order}
    return found[False], found[True]


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default=",".join(METHODS))
    parser.add_argument("--precision", default="float32,bf16", help=f"from {', '.join(get_args(Precision))}")
    parser.add_argument("--compile", default="off,on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--width", type=int, default=128, help="channels of the ConvNet")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(seconds(*asked.child, asked.threads, asked.width))
        return
    torch.set_num_threads(asked.threads)
    print(", ".join(f"{name} {value}" for name, value in machine.describe("cpu").items()), flush=True)
    print("| step | loop | precision | compiled | without ms | with ms | ratio |\n|---|---|---|---|---:|---:|---:|")
    for method in asked.method.split(","):
        ways = product(asked.precision.split(","), asked.compile.split(","))
        for loop, precision, compiled in [("plain", "float32", "off"), *(("fast", *way) for way in ways)]:
            command = [loop, method, precision, compiled, "--threads", str(asked.threads), "--width", str(asked.width)]
            turns = [turn(command, first) for first in orders(asked.turns)]
            without, within = (1e3 * statistics.median(times) for times in zip(*turns, strict=True))
            ratio = statistics.median(slow / quick for slow, quick in turns)
            row = f"{method} | {loop} | {precision} | {compiled} | {without:.3g} | {within:.3g} | {ratio:.2f}"
            print(f"| {row} |", flush=True)


if __name__ == "__main__":
    main()
