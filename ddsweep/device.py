"""Which device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``; and which GPUs, for processes that get one each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from ddsweep.errors import UserError

FORMS = "auto, cpu, cuda, cuda:N, mps"
GPU_FORMS = "all, numbers (0,2 or 0-3), GPU-… and MIG-… names"
VISIBLE = "CUDA_VISIBLE_DEVICES"
MIG = "MIG-"
LIST_SECONDS = 20  # nvidia-smi takes some on a machine with many GPUs and no persistence daemon


@dataclass(frozen=True)
class Slot:
    """Where one agent works.

    Attributes:
        device: the device, as torch spells it inside the agent's process.
        name: for people: ``gpu 3``, ``gpu 3 · 2`` for the second agent on it; empty: the device.
        gpu: what CUDA_VISIBLE_DEVICES has to say, so that the process sees this GPU alone; empty: leave it as it is.
        here: the same device in the process that chose it; empty: ``device``.
    """

    device: str
    name: str = ""
    gpu: str = ""
    here: str = ""

    def __str__(self) -> str:
        return self.name or self.device

    @property
    def environment(self) -> dict[str, str]:
        """What the agent's process needs beside ours."""
        return {VISIBLE: self.gpu} if self.gpu else {}


def slots(wanted: str) -> list[str]:
    """The devices that ``wanted`` stands for: one agent can work on each.

    ``auto`` is every GPU, or else Apple's, or else the CPU; ``cuda`` is every GPU.

    Raises:
        UserError: not a device, or one that this machine lacks.
    """
    import torch

    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", wanted):
        raise UserError(f"device: {wanted!r} is no device (allowed: {FORMS})")
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if wanted == "cpu" or (wanted == "auto" and not gpus and not torch.backends.mps.is_available()):
        return ["cpu"]
    if wanted in ("auto", "cuda") and gpus:
        return gpus
    if wanted in gpus:
        return [wanted]
    if wanted in ("auto", "mps") and torch.backends.mps.is_available():
        return ["mps"]
    raise UserError(f"device: this machine has no {wanted} (it has: {', '.join(['cpu', *gpus])})")


def describe(device: str) -> str:
    """The device for people: the name of the GPU, or of the processor's architecture."""
    import platform

    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{device} ({platform.machine()}, {torch.get_num_threads()} threads)"


def memory(device: str = "cpu") -> int:
    """Bytes of memory of a GPU; else of this machine, and where the system does not tell, as if there were no end."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**62


def identity(device: str) -> str:
    """What tells the device from others of this host, whatever CUDA_VISIBLE_DEVICES calls it: a file name."""
    import torch

    if not device.startswith("cuda"):
        return device
    return str(getattr(torch.cuda.get_device_properties(device), "uuid", "")) or device.replace(":", "-")


def visible() -> list[str]:
    """The GPUs that this process may use, in torch's order, each as CUDA_VISIBLE_DEVICES would name it.

    That variable is respected: of ``4,5`` the first is ``4``. torch sees one MIG instance at most, because a process
    can use no more; here all of them count, for every agent is a process.
    """
    import torch

    named = [part.strip() for part in os.environ[VISIBLE].split(",")] if VISIBLE in os.environ else None
    if named is None and any(name.startswith(MIG) for name in listed()):
        return listed()
    if named and named[0].startswith(MIG):
        return named
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [str(index) for index in range(count)] if named is None else named[:count]


def listed() -> list[str]:
    """The names (UUIDs) of the machine's GPUs; of one that is divided, those of its MIG instances instead."""
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=LIST_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    names: list[str] = []
    for name in re.findall(r"\(UUID: ((?:GPU|MIG)-[^)]+)\)", done.stdout):
        if name.startswith(MIG) and names and not names[-1].startswith(MIG):
            names.pop()  # the GPU that this one is a part of
        names.append(name)
    return names


def gpus(wanted: str) -> list[Slot]:
    """A slot for each GPU that ``wanted`` names: ``all``, ``0-3``, ``0,2``, ``GPU-…``, ``MIG-…``.

    Numbers count what is visible, as torch does. A name may be cut short, as CUDA allows it, if it means one GPU.

    Raises:
        UserError: no such GPU; the line names those there are.
    """
    there = visible()
    if not there:
        raise UserError("gpus: this machine has no GPU that PyTorch can use")
    if wanted == "all":
        return [_slot(index, there) for index in range(len(there))]
    found: list[Slot] = []
    for part in (part.strip() for part in wanted.split(",")):
        if part.startswith(("GPU-", MIG)):
            found.append(_by_name(part, there))
        elif match := re.fullmatch(r"(\d+)(?:-(\d+))?", part):
            first, last = int(match[1]), int(match[2] or match[1])
            if first > last:
                raise UserError(f"gpus: {part!r} runs backwards; write {last}-{first}")
            found += [_slot(index, there) for index in range(first, last + 1)]
        else:
            raise UserError(f"gpus: {part!r} is no GPU (allowed: {GPU_FORMS})")
    if twice := [str(slot) for index, slot in enumerate(found) if slot in found[:index]]:
        raise UserError(f"gpus: {twice[0]} is there twice; several agents on one GPU are --per-gpu")
    return found


def _slot(index: int, there: list[str]) -> Slot:
    if index >= len(there):
        raise _missing(str(index), there)
    here = "cuda:0" if there[index].startswith(MIG) else f"cuda:{index}"
    return Slot("cuda:0", f"gpu {index}", there[index], here)


def _by_name(part: str, there: list[str]) -> Slot:
    """A GPU by its name; where numbers are visible, the driver says whether it exists."""
    known = there if there[0].startswith(("GPU-", MIG)) else listed()
    meant = [name for name in known if name.startswith(part)]
    if len(meant) > 1:
        raise UserError(f"gpus: {part} means {len(meant)} GPUs; write more of it")
    if not meant:
        raise _missing(part, known or there)
    if VISIBLE in os.environ and meant[0] not in there:
        raise UserError(f"gpus: {part} is not in {VISIBLE}; write its number among those that are (0-{len(there) - 1})")
    return Slot("cuda:0", meant[0][:12], meant[0])


def _missing(wanted: str, there: list[str]) -> UserError:
    numbers = ", ".join(f"{index}" if name.isdecimal() else f"{index} ({name})" for index, name in enumerate(there))
    return UserError(f"gpus: this machine has no GPU {wanted} (it has: {numbers})")
