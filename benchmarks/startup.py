"""What the command line costs before it does anything, and which imports cost it.

``python -m benchmarks.startup [--only list,status] [--runs FOLDER] [--repeat N] [--modules N] [--json]``. A small sweep
is launched into FOLDER (default: a temporary one); then each command runs N times, in a new order each time, as a
process of its own, with the files in the system's cache. The seconds are those of the wall clock; CPU seconds are
printed beside them, because a busy machine changes them less.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import yaml

from ddsweep import files, rng
from ddsweep.sweep.registry import folders, is_shipped

SWEEP = "ablation-alpha@demo"
SMALL = {
    "iterations": 2, "width": 4, "batch_real": 8, "ptm_train_epochs": 2, "ptm_epoch": 2, "ptm_batch": 512,
    "cclom_batch": 32, "eval_nets": 1, "eval_epochs": 2,
}  # fmt: skip
COMMANDS = {  # words → goal in seconds on two cores
    "--help": 0.3,
    "list": 0.6,
    f"show {SWEEP}": 0.6,
    "status": 1.0,
    f"results {SWEEP}": 1.0,
    f"launch {SWEEP} --workers 1": 2.0,
    "doctor": 5.0,
}
UNLAUNCHED = {"--help", "list", "show", "doctor"}  # do not need the sweep to be launched
LINE = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \| ( *)(\S+)")


@dataclass
class Measurement:
    """One command.

    Attributes:
        command: its words.
        goal_s: the seconds that it should take at most.
        seconds: by the wall clock, of each run.
        cpu_s: of all cores, of each run.
        modules: how many modules it imports.
        costs: the most expensive imports: module → milliseconds, with everything that it imports first.
    """

    command: str
    goal_s: float
    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    modules: int = 0
    costs: dict[str, float] = field(default_factory=dict)


def make_small(folder: Path) -> None:
    """Give a working folder a profile ``demo`` whose cells take a tenth of a second."""
    shipped = next(one for one in folders() if is_shipped(one / "any"))
    profile = yaml.safe_load((shipped / "profiles" / "demo.yaml").read_text(encoding="utf-8"))
    profile["fields"] |= SMALL
    profile["axes"] |= {name: [value] for name, value in SMALL.items()}
    files.write_text(folder / "sweeps" / "profiles" / "demo.yaml", yaml.safe_dump(profile))


def run(words: Sequence[str], folder: Path, *python: str) -> tuple[float, float, str]:
    """Run ``ddsweep`` once in a folder; return wall seconds, CPU seconds, and its standard error.

    Raises:
        RuntimeError: it failed.
    """
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *python, "-m", "ddsweep", *words],
        cwd=folder, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "100"},
    )  # fmt: skip
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode and words[0] != "doctor":  # its status says what it found
        raise RuntimeError(f"ddsweep {' '.join(words)}: {done.stderr.strip().splitlines()[-1:]}")
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return seconds, cpu, done.stderr


def imports(text: str, most: int) -> tuple[int, dict[str, float]]:
    """The number of modules in the output of ``-X importtime``, and the milliseconds of the most expensive ones."""
    found = [(match[4], int(match[2]) / 1000) for match in map(LINE.match, text.splitlines()) if match]
    return len(found), dict(sorted(found, key=lambda one: -one[1])[:most])


def measure(folder: Path, commands: Sequence[str], repeat: int, most: int) -> list[Measurement]:
    """Measure commands in a folder with a finished sweep, in random order."""
    found = {words: Measurement(words, COMMANDS[words]) for words in commands}
    for turn in range(repeat):
        order = torch.randperm(len(found), generator=rng.generator(0, "startup", str(turn))).tolist()
        for words in (list(found)[index] for index in order):
            seconds, cpu, _ = run(words.split(), folder)
            found[words].seconds.append(round(seconds, 3))
            found[words].cpu_s.append(round(cpu, 3))
    for words, one in found.items():
        one.modules, one.costs = imports(run(words.split(), folder, "-X", "importtime")[2], most)
    return list(found.values())


def show(found: Sequence[Measurement]) -> None:
    """Print a line per command, and below it who costs what."""
    print(f"{'command':32} {'median':>7} {'fastest':>8} {'CPU':>6} {'goal':>5} {'modules':>8}")
    for one in found:
        middle, fastest, cpu = statistics.median(one.seconds), min(one.seconds), min(one.cpu_s)
        print(f"{one.command:32} {middle:7.2f} {fastest:8.2f} {cpu:6.2f} {one.goal_s:5.1f} {one.modules:8}")
        for module, milliseconds in one.costs.items():
            print(f"    {milliseconds:7.0f} ms  {module}")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="first words of the commands, separated by commas (default: all)")
    parser.add_argument("--runs", type=Path, help="a working folder that may have the sweep already")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each command")
    parser.add_argument("--modules", type=int, default=0, help="show so many of the most expensive imports")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.runs or Path(temporary)
        commands = [one for one in COMMANDS if not given.only or one.split()[0] in given.only.split(",")]
        make_small(folder)
        if {one.split()[0] for one in commands} - UNLAUNCHED:
            run(["launch", SWEEP, "--workers", "1"], folder)
        found = measure(folder, commands, given.repeat, given.modules)
    if given.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
