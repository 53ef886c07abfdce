"""The launcher for this machine: one agent process per slot."""

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

PATIENCE = 30.0  # seconds for an agent to return its cell to the queue; the longest known step takes a few
MAX_DEATHS = 3  # agents in a row that ended with an error, after which a slot is closed
MAX_KILLS = 20  # the same for agents that were killed: memory may be short for a while
PAUSES = (0.0, 0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)  # seconds until a killed agent is replaced; then the last
# signals by which a process ends itself; after any other one, somebody else has ended it
CRASHES = {
    getattr(signal, name) for name in ("SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV", "SIGSYS")
}  # fmt: skip


@dataclass
class _Place:
    """A slot and its agent.

    Attributes:
        slot: the device.
        log: the output of its agents, in one file.
        process: the current agent.
        deaths: the number of agents that ended with an error since there was progress in this slot.
        kills: the number of agents that were killed since then.
        seen: the progress in this slot when the last agent died (``_progress``).
        claimed: the number of cells that had been claimed in this slot when the current agent was started.
        waits_until: when an agent will be started (``time.monotonic``); 0: now.
        closed: why the slot was closed; empty if it was not.
        ended: whether the queue was empty, or the agent asked to stop.
    """

    slot: Slot
    log: Path
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    kills: int = 0
    seen: tuple[int, int] = (0, 0)
    claimed: int = 0
    waits_until: float = 0.0
    closed: str = ""
    ended: bool = False

    @property
    def failures(self) -> Path:
        """The file in which the agents record the failures in this slot."""
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
        """Replace agents that died; return the number of slots with one."""
        for slot in self._slots:
            if slot.process is None or slot.ended or slot.closed or (status := slot.process.poll()) is None:
                continue
            if slot.waits_until:
                if time.monotonic() >= slot.waits_until:
                    self._spawn(slot)
            elif status in (0, *agent.STOPPED):
                slot.ended = True
            else:
                self._replace(slot, status)
        return sum(slot.process is not None and not slot.ended and not slot.closed for slot in self._slots)

    def stop(self) -> None:
        """Send SIGTERM to every agent, and SIGKILL to those that run on after 30 s. No agent is replaced any more."""
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
        """The slots that were closed, with the reasons."""
        return [slot.closed for slot in self._slots if slot.closed]

    def _replace(self, slot: _Place, status: int) -> None:
        """Start a new agent for one that died, unless the slot has to be closed.

        An agent that ends with an error, or crashes before it has claimed a cell, will probably do so again: few tries.
        One that was killed need not, and its cell has a limit of its own (``backends.rules``): more tries, later and
        later.
        """
        failures = ConsecutiveFailures.read(slot.failures)
        if (progress := (failures.ended, failures.saved)) != slot.seen:
            slot.deaths, slot.kills, slot.seen = 0, 0, progress
        last = " ".join(list(failures.failed.values())[-1:])
        if status == agent.OTHER_IMAGES:
            slot.closed = f"{slot.slot}: {last}"
            return
        if status == agent.BAD_DEVICE:
            failed = f"{MAX_FAILURES} different cells in a row failed, the last with: {last}"
            slot.closed = f"{slot.slot}: {failed}; see {slot.log}"
            return
        number = killed_by(status)
        if number and (number not in CRASHES or failures.claimed > slot.claimed):
            slot.kills += 1
            slot.waits_until = time.monotonic() + PAUSES[min(slot.kills, len(PAUSES)) - 1]
        elif status != agent.RESTART_NEEDED:  # it has recorded its cell and asks to be replaced
            slot.deaths += 1
        if slot.kills >= MAX_KILLS:
            name = signal.Signals(number).name
            slot.closed = f"{slot.slot}: {slot.kills} agents were killed (the last by {name}); see {slot.log}"
        elif slot.deaths >= MAX_DEATHS:
            how = f"signal {signal.Signals(number).name}" if number else f"status {status}"
            slot.closed = f"{slot.slot}: {slot.deaths} agents died (last {how}); see {slot.log}"
        elif slot.waits_until <= time.monotonic():
            self._spawn(slot)

    def _spawn(self, slot: _Place) -> None:
        job = self._job
        slot.waits_until, slot.claimed = 0.0, ConsecutiveFailures.read(slot.failures).claimed
        files.clear_temporaries(slot.failures.parent, slot.failures.name)  # of an agent that was killed while writing
        command = [*job.command(), "--device", slot.slot.device, "--device-label", str(slot.slot)]
        command += ["--failures", str(slot.failures), "--parent", str(os.getpid())]
        own = {"DDSWEEP_STORAGE": job.storage, "OMP_NUM_THREADS": str(job.threads)}
        own |= {"PYTHONIOENCODING": "utf-8"}  # of the log, whatever the terminal has
        environment = os.environ | own | slot.slot.environment
        with slot.log.open("ab") as log:
            slot.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # the launcher handles Ctrl-C in the terminal
            )


def killed_by(status: int) -> int:
    """The signal that ended a process, from its status; 0: none. A shell in between reports it as 128 + signal."""
    number = -status if status < 0 else status - 128
    return number if number in set(signal.Signals) else 0
