"""All GPU measurements, in under ten minutes: ``python -m benchmarks.gpu``.

Runs the tests that need a GPU; every step in every precision, compiled and not, with classes together and one by one;
five evaluation networks together; the cost of a step as the problem grows; and several agents on the GPU. Writes
``gpu.json`` and ``gpu.md`` to ``--out`` after every row, so that nothing is lost if the run is interrupted. The most
informative rows come first; rows for which no time was left are listed. ``--quick --device cpu`` runs the same code in
seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from benchmarks import growth, machine, speed, turns
from benchmarks.steps import METHODS, Work
from ddsweep.numerics import Numerics, Precision

ROOT = Path(__file__).parent.parent
NETS = 5  # per evaluation, as is customary
PRECISIONS = {"cuda": ("float32", "tf32", "bf16"), "cpu": ("float32", "bf16")}
SPLIT = ("dc", "dsa", "evaluation")  # steps whose classes or networks can be computed as one batch
GROWN = ("dm", "dsa", "evaluation")


@dataclass
class Report:
    """The measurements so far, and the remaining time.

    Attributes:
        out: output folder.
        deadline: in terms of ``time.monotonic``.
        found: content of ``gpu.json``.
    """

    out: Path
    deadline: float
    found: dict[str, Any] = field(default_factory=lambda: {"tests": "", "rows": [], "growth": [], "left_out": []})

    def over(self, what: str, seconds: float = 0.0) -> bool:
        """Return whether fewer than ``seconds`` are left, and if so, list ``what`` as left out."""
        if time.monotonic() + seconds < self.deadline:
            return False
        self.found["left_out"].append(what)
        self.write()
        return True

    def add(self, part: str, *rows: dict[str, Any]) -> None:
        """Store a row, write the files, and print the row."""
        self.found[part] += rows
        self.write()
        print(*(speed if part == "rows" else growth).table(rows).splitlines()[2:], sep="\n", flush=True)

    def write(self) -> None:
        """Write both files."""
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "gpu.json").write_text(json.dumps(self.found, indent=2) + "\n", encoding="utf-8")
        parts = [self.found["header"], self.found["tests"], speed.table(self.found["rows"])]
        parts += [growth.table(self.found["growth"]), *(f"Left out: {what}" for what in self.found["left_out"])]
        (self.out / "gpu.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def ways(device: str, quick: bool) -> Iterator[tuple[str, Numerics]]:
    """Yield method and numerics of every row, the most informative first: together and compiled, in every precision."""
    kind = device.partition(":")[0]
    for together in (True, False):
        for compiled in (False,) if quick else (True, False):
            for precision in PRECISIONS.get(kind, PRECISIONS["cpu"]):
                for method in METHODS if together else SPLIT:
                    yield method, Numerics(cast(Precision, precision), compiled, device, together and method in SPLIT)


def measure(report: Report, base: Work, repeats: int, quick: bool) -> None:
    """Measure every row for which there is time; the last quarter of it is reserved for growing problems."""
    peaks = {name: machine.peak(name, base.device, quick) for name in PRECISIONS[base.device.partition(":")[0]]}
    report.found |= {
        "machine": machine.describe(base.device),
        "peaks": peaks,
        "header": speed.header(base.device, peaks),
    }
    under = turns.Conditions(peaks, repeats, 0.0 if quick else turns.GRAIN)
    keep, longest = (report.deadline - time.monotonic()) / 4, 0.0
    for method, numerics in ways(base.device, quick):
        named = f"{method}, {numerics.precision}, compiled: {numerics.compile}, together: {numerics.vectorize}"
        if report.over(named, keep + longest):
            continue
        began = time.monotonic()
        work = replace(base, method=method, nets=NETS if method == "evaluation" else 1)
        report.add("rows", turns.compare(work, numerics, under).document())
        longest = max(longest, time.monotonic() - began)
    for method in GROWN:
        if not report.over(f"{method}, growth", keep / len(GROWN) / 2):
            work = replace(base, method=method)
            numerics = Numerics("bf16", device=base.device)
            report.add("growth", *growth.rows([work], numerics, repeats, 1.0 if quick else keep / len(GROWN) / 8))


def tests(quick: bool) -> str:
    """Return the last line of ``pytest -m gpu``, or with ``quick`` of one of its files."""
    where = "tests/nn/test_initialize.py" if quick else "tests"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "gpu", where]
    if quick:
        command.append("--collect-only")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = (done.stdout.strip().splitlines() or [done.stderr.strip()])[-1]
    return f"pytest -m gpu: {last.strip('= ')} (exit code {done.returncode})"


def main() -> None:
    """Run all measurements and print where they were written."""
    wanted = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    wanted.add_argument("--device", default="cuda")
    wanted.add_argument("--out", type=Path, default=Path("gpu"), help="folder of gpu.json and gpu.md")
    wanted.add_argument("--minutes", type=float, default=9.0, help="do not start a row that could exceed this time")
    wanted.add_argument("--repeats", type=int, default=5, help="turns per row")
    wanted.add_argument("--quick", action="store_true", help="tiny problems, without compilation")
    asked = wanted.parse_args()
    report = Report(asked.out, time.monotonic() + 60 * asked.minutes)
    report.found["tests"] = tests(asked.quick)
    base = Work("dm", device=asked.device)
    if asked.quick:
        base, asked.repeats = Work("dm", ipc=1, classes=2, size=16, width=2, batch=4, device=asked.device), 1
    measure(report, base, asked.repeats, asked.quick)
    print(f"{report.found['tests']}\nwritten: {asked.out / 'gpu.json'} and {asked.out / 'gpu.md'}")


if __name__ == "__main__":
    main()
