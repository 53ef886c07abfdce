"""How many agents, on what, with how many threads."""

from __future__ import annotations

import os
from pathlib import Path

from ddsweep import device
from ddsweep.launchers import Job, Launcher
from ddsweep.launchers.inline import InlineLauncher
from ddsweep.launchers.local import LocalLauncher


def cores() -> int:
    """CPU cores that this process may use; under a scheduler fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slots(wanted: str, workers: int | None) -> list[str]:
    """A device per agent: one per GPU, or on the CPU one per two cores; ``workers`` says otherwise."""
    found = device.slots(wanted)
    count = workers or (len(found) if found[0] != "cpu" else max(1, cores() // 2))
    return [found[index % len(found)] for index in range(count)]


def job(sweep: str, runs: Path, storage: str, agents: int, in_process: bool = False) -> Job:
    """What the agents are told: the cores are shared out evenly; an agent in this process keeps the threads it has."""
    return Job(sweep, runs.absolute(), storage, 0 if in_process else max(1, cores() // agents))


def launcher(job: Job, slots: list[str], in_process: bool = False) -> Launcher:
    """The launcher for this machine."""
    return InlineLauncher(job, slots) if in_process else LocalLauncher(job, slots)
