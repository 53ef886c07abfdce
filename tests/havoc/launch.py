"""``ddsweep launch`` as real processes that can be found again, whatever became of their parents."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ddsweep.trackers import status

SWEEP = """\
method: grid
metric: {name: accuracy, goal: maximize}
parameters:
  method: {value: dm}
  ipc: {value: 1}                 # a cell takes two to five seconds if nobody strikes, and before them two PTMs
  width: {value: 8}
  iterations: {value: 300}
  batch_real: {value: 16}
  n_models: {value: 2}
  ptm_train_epochs: {value: 6}
  ptm_epoch: {value: 6}
  ptm_batch: {value: 128}
  eval_nets: {value: 2}
  eval_epochs: {value: 80}
  alpha: {values: [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000]}
x-ddsweep:
  title: Does it survive?
  axis: [alpha]
  baseline: {alpha: 0}
  max_attempts: 30
"""
NAME = "chaos@demo"
LEASE = "1,8"  # starved on a busy machine, an agent may be late by some seconds
INSIDE = Path(__file__).parent / "inside"


@dataclass(frozen=True)
class Note:
    """A line of the diary: which process, what, and of which file."""

    pid: int
    what: str
    path: Path


class Launch:
    """A sweep that is launched, and launched again.

    Args:
        place: where its runs, its cache and its sweep file lie; may be a small disk.
        beside: an empty folder for what must not depend on that disk; its name marks our processes.
        storage: the URL of a database; empty: SQLite in the runs folder.
        havoc: whether agents are to carry ``inside``.
    """

    def __init__(self, place: Path, beside: Path, storage: str = "", havoc: bool = True) -> None:
        self.place, self._beside, self._storage, self._havoc = place, beside, storage, havoc
        self.runs, self.pool = place / "runs", place / "cache" / "pool"
        self.temporary = beside / "tmp"
        self.temporary.mkdir()
        (beside / "diary").touch()
        (beside / "striking").touch()
        (beside / "chaos.yaml").write_text(SWEEP, encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] = (beside / "output").open("wb")

    @property
    def storage(self) -> str:
        """What to connect to."""
        return self._storage or str(self.runs / "ddsweep.db")

    @property
    def said(self) -> str:
        """What the launchers have printed."""
        return (self._beside / "output").read_text(encoding="utf-8")

    def start(self) -> None:
        """Launch, or launch again."""
        words = ["launch", "chaos.yaml", "--profile=demo", "--device=cpu", "--workers=2", f"--runs={self.runs}"]
        command = [sys.executable, "-m", "ddsweep", *words]
        self._process = subprocess.Popen(
            command, cwd=self._beside, env=self._environment(), stdout=self._output, stderr=subprocess.STDOUT
        )

    def _environment(self) -> dict[str, str]:
        told = {
            "DDSWEEP_CACHE": str(self.place / "cache"), "DDSWEEP_LEASE": LEASE, "DDSWEEP_HAVOC": str(self._beside),
            "TMPDIR": str(self.temporary),
        }  # fmt: skip
        if self._storage:
            told["DDSWEEP_STORAGE"] = self._storage
        if self._havoc:
            told["PYTHONPATH"] = os.pathsep.join(filter(None, [str(INSIDE), os.environ.get("PYTHONPATH")]))
        return os.environ | told

    def spare(self) -> None:
        """Nobody strikes any more: cells take no longer than they need."""
        (self._beside / "striking").unlink()

    def left(self) -> int | None:
        """The exit status of the launcher; None while it is there."""
        assert self._process is not None
        return self._process.poll()

    def kill(self) -> None:
        """End the launcher without a word."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def processes(self) -> set[int]:
        """Everything that a launch has started and that is still there."""
        mark, found = f"DDSWEEP_HAVOC={self._beside}\0".encode(), set()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes():
                    found.add(int(entry.name))
            except OSError:  # gone, or somebody else's
                continue
        return found

    def at_work(self) -> list[int]:
        """The agents with a cell in hand, by process."""
        there, agents = self.processes(), status.read_all(status.folder(self.runs, NAME))
        pids = [int(one.agent.rpartition(":")[2]) for one in agents if one.cell and one.phase != "starting"]
        return sorted(there.intersection(pids))

    def diary(self) -> list[Note]:
        """What the agents have noted."""
        lines = [line.split(" ", 2) for line in (self._beside / "diary").read_text(encoding="utf-8").splitlines()]
        return [Note(int(pid), what, Path(*path)) for pid, what, *path in lines]

    def cut(self, pattern: str) -> None:
        """The next file of such a name is never renamed."""
        ordered = self._beside / "ordered"
        ordered.write_text(pattern, encoding="utf-8")
        ordered.replace(self._beside / "cut")

    def logs(self) -> str:
        """What the agents have logged."""
        return "".join(log.read_text() for log in sorted(status.folder(self.runs, NAME).glob("*.log")))

    def close(self) -> None:
        """End whatever is there."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        for pid in self.processes():
            os.kill(pid, 9)
        self._output.close()
