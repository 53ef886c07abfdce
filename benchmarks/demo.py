"""Where the seconds of a launch go: a sweep in new folders, its processes, and their time by phase.

``python -m benchmarks.demo [SWEEP@PROFILE] [--profile demo] [-- LAUNCH OPTIONS]``, for example
``python -m benchmarks.demo tableA1@demo -- --workers 1``. Data, PTMs, and shared results are those of an empty cache.
Each phase is listed without the phases inside it, in wall-clock seconds and in seconds of CPU time: on a machine with
other load, only the latter can be compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import timeline
from benchmarks.timeline import Process

SHORTEST = 0.05  # seconds: shorter phases are listed together


def launch(words: list[str], folder: Path) -> tuple[float, list[Process]]:
    """Launch a sweep in new folders; return the seconds until it has ended, and its processes."""
    own = {"DDSWEEP_CACHE": str(folder / "cache"), **timeline.environment(folder / "timeline")}
    command = [sys.executable, "-m", "ddsweep", "launch", *words, "--runs", str(folder / "runs")]
    began = time.perf_counter()
    subprocess.run(command, env=os.environ | own, check=True)
    return time.perf_counter() - began, timeline.read(folder / "timeline")


def table(process: Process, began: float) -> Iterator[str]:
    """The time of a process by phase, line by line, longest first."""
    name = next((word for word in process.command[1:] if word in ("launch", "agent")), "other")
    yield f"| {name}, started at {process.began - began:.1f} s | calls | wall s | CPU s |"
    yield "|---|---:|---:|---:|"
    spans = sorted(process.spans.items(), key=lambda item: -item[1][1])
    rest_wall = process.seconds - sum(wall for _, wall, _ in process.spans.values())
    rest_cpu = process.cpu - sum(cpu for _, _, cpu in process.spans.values())
    for label, (calls, wall, cpu) in spans:
        if wall >= SHORTEST:
            yield f"| {label} | {calls} | {wall:.2f} | {cpu:.2f} |"
        else:
            rest_wall, rest_cpu = rest_wall + wall, rest_cpu + cpu
    yield f"| everything else | | {rest_wall:.2f} | {rest_cpu:.2f} |"
    yield f"| in all | | {process.seconds:.2f} | {process.cpu:.2f} |"


def main() -> None:
    """Run the benchmark and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", nargs="?", default="ablation-alpha@demo")
    parser.add_argument("options", nargs="*", metavar="-- OPTIONS", help="options of launch")
    words = sys.argv[1:]
    own = words.index("--") if "--" in words else len(words)
    asked = parser.parse_args(words[:own])
    asked.options = words[own + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        seconds, processes = launch([asked.sweep, *asked.options], Path(folder))
    for process in processes:
        print("\n" + "\n".join(table(process, began)), flush=True)
    cpu = sum(process.cpu for process in processes)
    print(f"\n{asked.sweep}: {seconds:.1f} s, {cpu:.1f} s of CPU time in {len(processes)} processes")


if __name__ == "__main__":
    main()
