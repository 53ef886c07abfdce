"""How many agents, on what, with how many threads."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ddsweep import device
from ddsweep.device import Slot
from ddsweep.errors import UserError
from ddsweep.launchers import Job, Launcher
from ddsweep.launchers.inline import InlineLauncher
from ddsweep.launchers.local import LocalLauncher


def cores() -> int:
    """CPU cores that this process may use; under a scheduler fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slots(wanted: str, workers: int | None, gpus: str | None = None, per_gpu: int | None = None) -> list[Slot]:
    """A slot per agent: one per GPU, or on the CPU one per two cores; ``workers`` and ``per_gpu`` say otherwise.

    Args:
        wanted: ``--device``.
        workers: so many agents in all, dealt out in turn; 0: one, in this process.
        gpus: ``--gpus``, instead of a device (``device.gpus``).
        per_gpu: so many agents on each GPU.

    Raises:
        UserError: a device that is not there, or two of these that contradict each other.
    """
    if per_gpu and workers is not None:
        raise UserError("per-gpu: says how many agents there are, and so does --workers; give one of them")
    if gpus and wanted not in ("auto", "cuda"):
        raise UserError(f"gpus: cannot go with --device {wanted}")
    if gpus and workers == 0:
        raise UserError("workers: 0 works in this process, on --device cuda:N and not on --gpus")
    found = device.gpus(gpus) if gpus else _of_device(wanted, in_process=workers == 0)
    on_gpus = found[0].device.startswith("cuda")
    if per_gpu and not on_gpus:
        raise UserError(f"per-gpu: {found[0]} is no GPU; agents beside each other there are --workers")
    default = len(found) * (per_gpu or 1) if on_gpus else max(1, cores() // 2)
    count = default if workers is None else max(1, workers)
    turns = [(found[index % len(found)], 1 + index // len(found)) for index in range(count)]
    return [slot if turn == 1 else replace(slot, name=f"{slot} · {turn}") for slot, turn in turns]


def _of_device(wanted: str, in_process: bool) -> list[Slot]:
    """What ``--device`` means. A process of its own gets a GPU of its own."""
    found = device.slots(wanted)
    if in_process or not found[0].startswith("cuda"):
        return [Slot(one) for one in found]
    return device.gpus(wanted.partition(":")[2] or "all")


def summary(slots: Sequence[Slot]) -> list[str]:
    """``cpu``, ``gpu 0 × 2``: each device once, with the number of its agents."""
    agents = Counter(str(slot).partition(" · ")[0] for slot in slots)
    return [name if count == 1 else f"{name} × {count}" for name, count in agents.items()]


def job(sweep: str, runs: Path, storage: str, agents: int, in_process: bool = False) -> Job:
    """What the agents are told: the cores are shared out evenly; an agent in this process keeps the threads it has."""
    return Job(sweep, runs.absolute(), storage, 0 if in_process else max(1, cores() // agents))


def launcher(job: Job, slots: Sequence[Slot], in_process: bool = False, beside: bool = False) -> Launcher:
    """The launcher for this machine; ``beside`` another one, whose logs in the same runs folder it leaves alone."""
    tag = f"{socket.gethostname()}-{os.getpid()}-" if beside else ""
    return InlineLauncher(job, slots) if in_process else LocalLauncher(job, slots, tag)
