"""One process per slot on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ddsweep import agent, files
from ddsweep.agent.failures import MAX_FAILURES, ConsecutiveFailures
from ddsweep.device import Slot
from ddsweep.launchers import Job

PATIENCE = 30.0  # seconds an agent has to give its cell back; the longest step we know of takes a few
# Threads that wait for work sleep instead of spinning: alone on two cores the demo's cell takes the same 2.7 s either
# way; beside another job on the same cores 4 s instead of 10. Feature maps lie in huge pages (torch's switch) and are
# not given back to the system between two steps (glibc's), which then need not be zeroed again: `python -m
# benchmarks.surroundings` measures that. Whoever sets one of them keeps his own.
SURROUNDINGS = {
    "OMP_WAIT_POLICY": "passive", "THP_MEM_ALLOC_ENABLE": "1", "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}  # fmt: skip
MAX_DEATHS = 3  # deaths in a row after which a slot is closed


@dataclass
class _Place:
    """A slot and who works there.

    Attributes:
        slot: the device.
        log: output of its agents, one after the other.
        process: the agent of the moment.
        deaths: agents that died since a cell ended here.
        cells: how many cells had ended here when the last agent died.
        closed: why there is no agent any more.
        ended: whether the queue was drained, or the agent asked to leave.
    """

    slot: Slot
    log: Path
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    cells: int = 0
    closed: str = ""
    ended: bool = False

    @property
    def failures(self) -> Path:
        """What failed here, as the agents tell it."""
        return self.log.with_suffix(".failures")


class LocalLauncher:
    """Starts ``ddsweep agent`` per slot, each in its own session, with its output in a log file."""

    def __init__(self, job: Job, slots: Sequence[Slot], tag: str = "") -> None:
        self._job = job
        self._slots = [_Place(slot, job.folder / f"agent-{tag}{index}.log") for index, slot in enumerate(slots)]

    def start(self) -> None:
        """Start an agent on every slot."""
        self._job.folder.mkdir(parents=True, exist_ok=True)
        for slot in self._slots:
            slot.failures.unlink(missing_ok=True)
            self._spawn(slot)

    def poll(self) -> int:
        """Replace agents that died; the number of slots with one."""
        for slot in self._slots:
            if slot.process is None or slot.ended or slot.closed or (status := slot.process.poll()) is None:
                continue
            if status == 0:
                slot.ended = True
            else:
                self._replace(slot, status)
        return sum(slot.process is not None and not slot.ended and not slot.closed for slot in self._slots)

    def stop(self) -> None:
        """TERM to every agent, KILL to those still there after a while. Nothing is replaced from now on."""
        for slot in self._slots:
            slot.ended = True
        alive = [slot.process for slot in self._slots if slot.process is not None and slot.process.poll() is None]
        for process in alive:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        for process in alive:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def closed(self) -> list[str]:
        """Slots that were closed and why."""
        return [slot.closed for slot in self._slots if slot.closed]

    def _replace(self, slot: _Place, status: int) -> None:
        """A fresh agent after one that died, unless the slot is a bad one."""
        failures = ConsecutiveFailures.read(slot.failures)
        if failures.ended > slot.cells:  # since the last death a cell has ended here
            slot.deaths, slot.cells = 0, failures.ended
        if status == agent.BAD_DEVICE:
            last = " ".join(list(failures.failed.values())[-1:])
            failed = f"{MAX_FAILURES} different cells in a row failed here, the last with: {last}"
            slot.closed = f"{slot.slot}: {failed}; see {slot.log}"
            return
        slot.deaths += status != agent.RESTART_NEEDED  # it asks for its successor, and has answered for its cell
        if slot.deaths < MAX_DEATHS:
            self._spawn(slot)
        else:
            slot.closed = f"{slot.slot}: {slot.deaths} agents died (last status {status}); see {slot.log}"

    def _spawn(self, slot: _Place) -> None:
        job = self._job
        files.clear_temporaries(slot.failures.parent, slot.failures.name)  # of an agent that was killed while it wrote
        command = [*job.command(), "--device", slot.slot.device, "--device-label", str(slot.slot)]
        command += ["--failures", str(slot.failures), "--parent", str(os.getpid())]
        told = {"DDSWEEP_STORAGE": job.storage, "OMP_NUM_THREADS": str(job.threads)}
        environment = SURROUNDINGS | os.environ | told | slot.slot.environment
        with slot.log.open("ab") as log:
            slot.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment,
                start_new_session=True,  # Ctrl-C in the terminal is the launcher's to handle
            )  # fmt: skip
