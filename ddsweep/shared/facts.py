"""What can change a bit of a shared tensor beside the recipe: the code, the libraries, the machine."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ddsweep import provenance
from ddsweep.numerics import compiler

# the parts of ddsweep whose code computes what is shared, or draws the numbers that it is computed from
_COMPUTING = ("augment", "data", "distill", "nn", "pretrained", "shared", "numerics.py", "rng.py")
_LIBRARIES = ("ONEDNN_", "DNNL_", "MKL_", "CUBLAS_")  # environment variables by which they choose among algorithms


def of_code() -> dict[str, Any]:
    """Return the versions of what computes; a checkout is identified by the content of its files."""
    found = provenance.versions()
    return {"torch": found["torch"], "ddsweep": found["ddsweep"], "code": _digest()}


@cache
def _digest() -> str:
    package, digest = Path(__file__).parent.parent, hashlib.sha256()
    for part in _COMPUTING:
        path = package / part
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            digest.update(f"{file.relative_to(package)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def of_machine(device: torch.device, compiled: bool) -> dict[str, Any]:
    """Return what the libraries choose their algorithms by.

    The number of threads is part of it: with one and with two threads, the gradients of a ConvNet-3 and of a ResNet-18
    differed in their last bits (their mean features did not).

    Args:
        device: the device that computes.
        compiled: whether functions are compiled, so that the C++ compiler of a CPU matters, too.
    """
    found: dict[str, Any] = {name: os.environ[name] for name in sorted(os.environ) if name.startswith(_LIBRARIES)}
    if device.type == "cuda":
        found |= {
            "device": torch.cuda.get_device_name(device),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "benchmark": torch.backends.cudnn.benchmark,
            "deterministic": torch.are_deterministic_algorithms_enabled() or torch.backends.cudnn.deterministic,
        }
    else:
        found |= {
            "device": f"{device.type} {_processor()}",
            "capability": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
        }
    if compiled and device.type == "cpu":
        found |= {"compiler": _compiler()}
    return found


@cache
def _processor() -> str:
    """The model of the processor: libraries choose block sizes by its caches."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    fields = ("vendor_id", "cpu family", "model", "model name", "stepping", "cache size")
    values: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        values.setdefault(name.strip(), value.strip())
    return " ".join(values[name] for name in fields if name in values) or os.uname().machine


def _compiler() -> list[str | int]:
    """The C++ compiler: its path, size and time; asking it for its version takes longer."""
    found = compiler()
    if found is None:
        return []
    stat = Path(found).resolve().stat()
    return [found, stat.st_size, stat.st_mtime_ns]
