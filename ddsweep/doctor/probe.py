"""What torch can do on this machine, printed as JSON by a separate process: ``python -m ddsweep.doctor.probe``.

Importing a broken torch may crash the process, and a driver that hangs blocks whoever calls it; neither must happen to
the doctor itself.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import sys
import sysconfig
import warnings
from pathlib import Path
from typing import Any


def facts() -> dict[str, Any]:
    """The fields of ``doctor.torch.Torch``."""
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
    """The version of torchvision, if its operators work: built for another torch, they are missing or crash.

    Only their library is loaded. Importing the package takes as long as importing torch.
    """
    found = importlib.util.find_spec("torchvision")
    libraries = sorted(Path(found.origin).parent.glob("_C*.so")) if found and found.origin else []
    for library in libraries:
        torch.ops.load_library(library)
    if not libraries:  # another system, or not installed
        importlib.import_module("torchvision")
    torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    return importlib.metadata.version("torchvision")


def _gpu(torch: Any, index: int) -> dict[str, Any]:
    """Name, memory and error of a GPU. A kernel is run: only then does an unsupported or broken GPU fail."""
    properties = torch.cuda.get_device_properties(index)
    gpu = {"name": properties.name, "total": properties.total_memory, "free": 0, "error": ""}
    try:
        gpu["free"] = torch.cuda.mem_get_info(index)[0]
        (torch.ones(8, device=f"cuda:{index}") + 1).sum().item()
    except Exception as error:
        gpu["error"] = _line(error)
    return gpu


def _tried(function: Any, *arguments: Any) -> str:
    try:
        return str(function(*arguments))
    except Exception as error:
        return f"error: {_line(error)}"


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def main() -> None:
    """Print the facts, or the error, as the last line."""
    try:
        report = facts()
    except Exception as error:
        report = {"error": f"{type(error).__name__}: {_line(error)}"}
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()
    os._exit(0)  # skip the cleanup of a driver that may hang


if __name__ == "__main__":
    main()
