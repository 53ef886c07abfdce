"""What torch can do here, told as JSON by a process of its own.

Importing a broken torch may end the process, and a driver that hangs hangs whoever asks it: neither may happen to the
one that has to tell. Run as ``python -m ddsweep.doctor.probe``.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import sysconfig
import warnings
from pathlib import Path
from typing import Any


def facts() -> dict[str, Any]:
    """The fields of ``computing.Torch``."""
    warnings.simplefilter("ignore")
    torch = importlib.import_module("torch")
    return {
        "version": torch.__version__,
        "built_for": _built_for(torch),
        "vision": _tried(_vision, torch),
        "gpus": [_gpu(torch, index) for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else [],
        "apple": bool(torch.backends.mps.is_available()),
        "threads": torch.get_num_threads(),
        "compiler": importlib.import_module("ddsweep.numerics").compiler() or "",
        "headers": (Path(sysconfig.get_path("include")) / "Python.h").is_file(),
    }


def _built_for(torch: Any) -> str:
    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    return f"ROCm {torch.version.hip}" if getattr(torch.version, "hip", None) else "CPU"


def _vision(torch: Any) -> str:
    """Its version, if its operators work: those of another torch are missing, or crash."""
    vision = importlib.import_module("torchvision")
    vision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    return str(vision.__version__)


def _gpu(torch: Any, index: int) -> dict[str, Any]:
    """A kernel is run: an unsupported GPU, or a broken one, says so only then."""
    properties = torch.cuda.get_device_properties(index)
    found = {"name": properties.name, "total": properties.total_memory, "free": 0, "error": ""}
    try:
        found["free"] = torch.cuda.mem_get_info(index)[0]
        (torch.ones(8, device=f"cuda:{index}") + 1).sum().item()
    except Exception as error:
        found["error"] = _line(error)
    return found


def _tried(ask: Any, *arguments: Any) -> str:
    try:
        return str(ask(*arguments))
    except Exception as error:
        return f"error: {_line(error)}"


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def main() -> None:
    """Print the facts, or why there are none, as the last line."""
    try:
        found = facts()
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {_line(error)}"}
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)  # a driver that hangs when it is let go of does not keep us


if __name__ == "__main__":
    main()
