"""How many agents to start, on which devices, and with how many threads."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import device
from ddsweep.device import Slot
from ddsweep.errors import UserError
from ddsweep.launchers import Job, Launcher, calibration
from ddsweep.launchers.inline import InlineLauncher
from ddsweep.launchers.local import LocalLauncher

if TYPE_CHECKING:
    from ddsweep.sweep import Sweep


def cores() -> int:
    """The number of CPU cores that this process may use; under a scheduler, it may be less than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slots(
    wanted: str,
    workers: int | None,
    gpus: str | None = None,
    per_gpu: int | None = None,
    sweep: Sweep | None = None,
) -> list[Slot]:
    """One slot per agent: by default, one per GPU; on a CPU, as many as a measurement of the machine recommends.

    Args:
        wanted: ``--device``.
        workers: ``--workers``: the total number of agents, spread over the devices in turn; 0 is one in this process.
        gpus: ``--gpus``: a list of GPUs instead of a device (``device.gpus``).
        per_gpu: ``--per-gpu``: the number of agents on each GPU.
        sweep: for the measurement (``calibration``); None: a CPU gets one agent per two cores.

    Raises:
        UserError: a device does not exist, or two of these contradict each other.
    """
    if per_gpu and workers is not None:
        raise UserError("per-gpu: --per-gpu and --workers both set the number of agents; give one of them")
    if gpus and wanted not in ("auto", "cuda"):
        raise UserError(f"gpus: cannot be combined with --device {wanted}")
    if gpus and workers == 0:
        raise UserError(
            "workers: 0 runs in this process and cannot be combined with --gpus; choose a GPU with --device cuda:N"
        )
    devices = device.gpus(gpus) if gpus else _of_device(wanted, in_process=workers == 0)
    on_gpus = devices[0].device.startswith("cuda")
    if per_gpu and not on_gpus:
        raise UserError(f"per-gpu: {devices[0]} is not a GPU; set the number of agents with --workers")
    if sweep and workers is None and devices[0].device == "cpu":
        found = calibration.division(sweep.recipes, sweep.size, cores())
        workers, devices = found.agents, [replace(devices[0], threads=found.threads)]
    default = len(devices) * (per_gpu or 1) if on_gpus else max(1, cores() // 2)
    count = default if workers is None else max(1, workers)
    turns = [(devices[index % len(devices)], 1 + index // len(devices)) for index in range(count)]
    return [slot if turn == 1 else replace(slot, label=f"{slot} · {turn}") for slot, turn in turns]


def _of_device(wanted: str, in_process: bool) -> list[Slot]:
    """The slots of ``--device``; each agent process sees only its own GPU."""
    devices = device.resolve(wanted)
    if in_process or not devices[0].startswith("cuda"):
        return [Slot(name) for name in devices]
    return device.gpus(wanted.partition(":")[2] or "all")


def summary(slots: Sequence[Slot]) -> list[str]:
    """Each device once, with the number of its agents: ``cpu``, ``gpu 0 × 2``."""
    agents = Counter(str(slot).partition(" · ")[0] for slot in slots)
    return [name if count == 1 else f"{name} × {count}" for name, count in agents.items()]


def job(sweep: str, runs: Path, storage: str, slots: Sequence[Slot], in_process: bool = False, group: int = 0) -> Job:
    """The job of the agents; an agent in this process keeps its number of threads."""
    count = 0 if in_process else threads(slots)
    return Job(sweep, runs.absolute(), storage, count, group=group, agents=len(slots))


def threads(slots: Sequence[Slot]) -> int:
    """The CPU threads of each agent: those of its slot, or an even share of the cores."""
    return slots[0].threads or max(1, cores() // len(slots))


def launcher(job: Job, slots: Sequence[Slot], in_process: bool = False, attached: bool = False) -> Launcher:
    """The launcher for this machine; ``attached`` gives its logs names of their own, next to another launcher's."""
    tag = f"{socket.gethostname()}-{os.getpid()}-" if attached else ""
    return InlineLauncher(job, slots) if in_process else LocalLauncher(job, slots, tag)
