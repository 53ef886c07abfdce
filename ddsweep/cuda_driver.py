"""How many NVIDIA GPUs PyTorch can use, as CUDA's driver says, without importing torch.

Importing torch takes seconds, and a launcher needs nothing else of it. The driver library interprets
CUDA_VISIBLE_DEVICES, MIG and the limits of containers itself, and is the one that PyTorch asks, too.
"""

from __future__ import annotations

import ast
import ctypes
import importlib.util
import sys
from pathlib import Path

LIBRARY = "libcuda.so.1"  # part of the driver


def count() -> int:
    """The number of GPUs that PyTorch can use here: 0 without a GPU, a driver, or a PyTorch that is built for CUDA."""
    built = None if "torch" in sys.modules or sys.platform != "linux" else _build()
    if built is None or built["hip"]:
        return _torch_count()
    return _driver_count(int(str(built["cuda"]).partition(".")[0])) if built["cuda"] else 0


def _build() -> dict[str, str | None] | None:
    """The versions of CUDA and ROCm that PyTorch is built for, from its source; None: they are not there."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return None
    try:
        tree = ast.parse(Path(found.origin).with_name("version.py").read_text(encoding="utf-8"))
        values = {
            target.id: ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
    except (OSError, ValueError, SyntaxError):
        return None
    return {name: values[name] for name in ("cuda", "hip")} if {"cuda", "hip"} <= values.keys() else None


def _driver_count(major: int) -> int:
    """The devices of a driver that supports this major version of CUDA.

    Programs built for a CUDA version run on every driver for the same major version or a later one.
    """
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return 0
    version, devices = ctypes.c_int(), ctypes.c_int()
    if library.cuInit(0) or library.cuDriverGetVersion(ctypes.byref(version)):
        return 0
    if version.value // 1000 < major or library.cuDeviceGetCount(ctypes.byref(devices)):
        return 0
    return devices.value


def _torch_count() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
