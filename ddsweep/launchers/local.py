"""One process per slot on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from ddsweep.launchers import Job

PATIENCE = 30.0  # seconds an agent has to give its cell back; the longest step we know of takes a few
# Threads that wait for work sleep instead of spinning. Alone on two cores the demo's cell takes the same 2.7 s either
# way; beside another job on the same cores 4 s instead of 10.
WAITING = {"OMP_WAIT_POLICY": "passive"}
MAX_DEATHS = 3  # deaths in a row after which a slot is closed


@dataclass
class _Slot:
    device: str
    log: Path
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    closed: str = ""
    ended: bool = field(default=False)


class LocalLauncher:
    """Starts ``ddsweep agent`` per slot, each in its own session, with its output in a log file."""

    def __init__(self, job: Job, slots: list[str]) -> None:
        self._job = job
        self._slots = [_Slot(device, job.folder / f"agent-{index}.log") for index, device in enumerate(slots)]

    def start(self) -> None:
        """Start an agent on every slot."""
        self._job.folder.mkdir(parents=True, exist_ok=True)
        for slot in self._slots:
            self._spawn(slot)

    def poll(self) -> int:
        """Replace agents that died; the number of slots with one."""
        for slot in self._slots:
            if slot.process is None or slot.ended or slot.closed or (status := slot.process.poll()) is None:
                continue
            if status == 0:
                slot.ended = True
                continue
            slot.deaths += 1
            if slot.deaths < MAX_DEATHS:
                self._spawn(slot)
            else:
                slot.closed = f"{slot.device}: {slot.deaths} agents died (last status {status}); see {slot.log}"
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

    def _spawn(self, slot: _Slot) -> None:
        job = self._job
        command = [*job.command(), "--device", slot.device, "--parent", str(os.getpid())]
        environment = WAITING | os.environ | {"DDSWEEP_STORAGE": job.storage, "OMP_NUM_THREADS": str(job.threads)}
        with slot.log.open("ab") as log:
            slot.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment,
                start_new_session=True,  # Ctrl-C in the terminal is the launcher's to handle
            )  # fmt: skip
