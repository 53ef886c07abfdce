"""Parse ``--device`` (``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``) and ``--gpus`` into the devices of agents."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

from ddsweep import cuda_driver
from ddsweep.errors import UserError

FORMS = "auto, cpu, cuda, cuda:N or mps"
GPU_FORMS = "all, numbers (0,2 or 0-3), or GPU-… and MIG-… UUIDs"
VISIBLE = "CUDA_VISIBLE_DEVICES"
MIG = "MIG-"
LIST_SECONDS = 20  # nvidia-smi is slow on a machine with many GPUs and no persistence daemon


@dataclass(frozen=True)
class Slot:
    """The place of one agent: a device, or a share of one.

    Attributes:
        device: the device as PyTorch names it inside the agent's process.
        label: its name in the output: ``gpu 3``, or ``gpu 3 · 2`` for the second agent on it; empty for ``device``.
        gpu: the value of CUDA_VISIBLE_DEVICES that shows the process only this GPU; empty to leave it unchanged.
        local: the same device as the launching process names it; empty for ``device``.
        threads: CPU threads of the agent; 0: the agents share the cores evenly.
    """

    device: str
    label: str = ""
    gpu: str = ""
    local: str = ""
    threads: int = 0

    def __str__(self) -> str:
        return self.label or self.device

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for the agent's process, in addition to those of this process."""
        return {VISIBLE: self.gpu} if self.gpu else {}


def resolve(device: str) -> list[str]:
    """The devices that ``device`` names; each can run one agent.

    ``auto`` is every NVIDIA GPU, else Apple's GPU, else the CPU; ``cuda`` is every NVIDIA GPU.

    Raises:
        UserError: the device is unknown, or this machine does not have it.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise UserError(f"unknown device {device!r}; choose {FORMS}")
    if device == "cpu":
        return ["cpu"]
    gpus = [f"cuda:{index}" for index in range(cuda_driver.count())]
    if device in ("auto", "cuda") and gpus:
        return gpus
    if device in gpus:
        return [device]
    if device in ("auto", "mps") and _has_mps():
        return ["mps"]
    if device == "auto":
        return ["cpu"]
    raise UserError(f"device: {device} is not available on this machine; available: {', '.join(['cpu', *gpus])}")


def _has_mps() -> bool:
    """Whether PyTorch can use Apple's GPU."""
    if sys.platform != "darwin":
        return False
    import torch

    return torch.backends.mps.is_available()


def describe(device: str) -> str:
    """The model of the GPU, or the architecture of the processor."""
    import platform

    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{device} ({platform.machine()}, {torch.get_num_threads()} threads)"


def memory(device: str = "cpu") -> int:
    """The memory of a GPU or of this machine, in bytes; 2**62 if the system does not report it."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**62


def identity(device: str) -> str:
    """A file name that identifies the device on this host, whatever CUDA_VISIBLE_DEVICES calls it."""
    import torch

    if not device.startswith("cuda"):
        return device
    return str(getattr(torch.cuda.get_device_properties(device), "uuid", "")) or device.replace(":", "-")


def visible() -> list[str]:
    """The GPUs that this process may use, in PyTorch's order, each as CUDA_VISIBLE_DEVICES would name it.

    That variable is respected: with ``4,5``, the first GPU is ``4``. PyTorch sees at most one MIG instance, because a
    process cannot use more; this list has all of them, because every agent is a process of its own.
    """
    named = [part.strip() for part in os.environ[VISIBLE].split(",")] if VISIBLE in os.environ else None
    if named and named[0].startswith(MIG):
        return named
    count = cuda_driver.count()
    if named is not None:
        return named[:count]
    instances = listed() if count else []
    return instances if any(name.startswith(MIG) for name in instances) else [str(index) for index in range(count)]


def listed() -> list[str]:
    """The UUIDs of the machine's GPUs; for a partitioned GPU, those of its MIG instances instead."""
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=LIST_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    names: list[str] = []
    for name in re.findall(r"\(UUID: ((?:GPU|MIG)-[^)]+)\)", done.stdout):
        if name.startswith(MIG) and names and not names[-1].startswith(MIG):
            names.pop()  # the GPU that this instance is part of
        names.append(name)
    return names


def gpus(wanted: str) -> list[Slot]:
    """One slot for each GPU that ``wanted`` names: ``all``, ``0-3``, ``0,2``, ``GPU-…``, ``MIG-…``.

    Numbers index the visible GPUs, as in PyTorch. A UUID may be shortened, as in CUDA, if it matches a single GPU.

    Raises:
        UserError: a GPU does not exist; the message lists those that do.
    """
    available = visible()
    if not available:
        raise UserError("gpus: this machine has no GPU that PyTorch can use")
    if wanted == "all":
        return [_slot(index, available) for index in range(len(available))]
    chosen: list[Slot] = []
    for part in (part.strip() for part in wanted.split(",")):
        if part.startswith(("GPU-", MIG)):
            chosen.append(_by_uuid(part, available))
        elif match := re.fullmatch(r"(\d+)(?:-(\d+))?", part):
            first, last = int(match[1]), int(match[2] or match[1])
            if first > last:
                raise UserError(f"gpus: the range {part!r} is reversed; write {last}-{first}")
            chosen += [_slot(index, available) for index in range(first, last + 1)]
        else:
            raise UserError(f"gpus: unknown GPU {part!r}; choose {GPU_FORMS}")
    if twice := [str(slot) for index, slot in enumerate(chosen) if slot in chosen[:index]]:
        raise UserError(f"gpus: {twice[0]} is listed twice; to run several agents on one GPU, use --per-gpu")
    return chosen


def _slot(index: int, available: list[str]) -> Slot:
    if index >= len(available):
        raise _missing(str(index), available)
    local = "cuda:0" if available[index].startswith(MIG) else f"cuda:{index}"
    return Slot("cuda:0", f"gpu {index}", available[index], local)


def _by_uuid(part: str, available: list[str]) -> Slot:
    """A GPU by its UUID; if the visible GPUs are numbered, the driver decides whether it exists."""
    known = available if available[0].startswith(("GPU-", MIG)) else listed()
    matches = [name for name in known if name.startswith(part)]
    if len(matches) > 1:
        raise UserError(f"gpus: {part} matches {len(matches)} GPUs; write more of the UUID")
    if not matches:
        raise _missing(part, known or available)
    if VISIBLE in os.environ and matches[0] not in available:
        raise UserError(
            f"gpus: {part} is not in {VISIBLE}; choose by number among those that are (0-{len(available) - 1})"
        )
    return Slot("cuda:0", matches[0][:12], matches[0])


def _missing(wanted: str, available: list[str]) -> UserError:
    numbers = ", ".join(name if name.isdecimal() else f"{index} ({name})" for index, name in enumerate(available))
    return UserError(f"gpus: this machine has no GPU {wanted}; available: {numbers}")
