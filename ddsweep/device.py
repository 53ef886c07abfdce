"""Which device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""

from __future__ import annotations

import re

from ddsweep.errors import UserError

FORMS = "auto, cpu, cuda, cuda:N, mps"


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
