"""Several agents on one device: processes that run the same steps at the same time."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine
from benchmarks.steps import Work, fast
from ddsweep.numerics import Numerics

ROOT = Path(__file__).parent.parent
AGENTS = (1, 2, 4)
WARM = 2  # steps before the measurement


def rows(work: Work, numerics: Numerics, repeats: int, counts: Iterable[int] = AGENTS) -> list[dict[str, Any]]:
    """Run steps in several processes on one device at the same time; seconds per step of all of them together."""
    return [_crowd(work, numerics, repeats, count) for count in counts]


def _crowd(work: Work, numerics: Numerics, repeats: int, count: int) -> dict[str, Any]:
    asked = json.dumps({"work": asdict(work), "numerics": asdict(numerics), "seconds": 0.5 * repeats})
    command = [sys.executable, "-m", "benchmarks.crowd", asked]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    crowd = [subprocess.Popen(command, **pipes) for _ in range(count)]
    for one in crowd:  # each process reports that it is warm, and waits for the others
        if one.stdout is None or one.stdout.readline().strip() != "warm":
            raise SystemExit("an agent did not reach its first step")
    for one in crowd:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    found = [json.loads(one.communicate()[0]) for one in crowd]
    rate = sum(one["steps"] / one["seconds"] for one in found)
    return {
        "method": work.method, "axis": "agents", "value": count, "step_s": 1 / rate,
        "images_per_s": rate * work.images, "bytes": sum(one["bytes"] for one in found),
    }  # fmt: skip


def _alone(work: Work, numerics: Numerics, seconds: float) -> dict[str, float]:
    """Run the steps of one process."""
    began, passed = 0.0, -WARM

    def boundary() -> bool:
        nonlocal began, passed
        passed += 1
        if not passed:
            machine.synchronize(work.device)
            print("warm", flush=True)
            sys.stdin.readline()
            began = time.perf_counter()
        return passed > 0 and time.perf_counter() - began > seconds

    fast(work, numerics, boundary)
    machine.synchronize(work.device)
    memory = torch.cuda.max_memory_allocated(work.device) if work.device.startswith("cuda") else 0
    return {"steps": passed, "seconds": time.perf_counter() - began, "bytes": memory}


def main() -> None:
    """Run one of the processes that ``rows`` starts."""
    wanted = argparse.ArgumentParser(description=main.__doc__)
    wanted.add_argument("asked", type=json.loads)
    asked = wanted.parse_args().asked
    numerics = Numerics(**asked["numerics"])
    machine.set_up(numerics.precision, numerics.device)
    print(json.dumps(_alone(Work(**asked["work"]), numerics, asked["seconds"])))


if __name__ == "__main__":
    main()
