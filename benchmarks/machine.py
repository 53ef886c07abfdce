"""The machine: its description, and its measured peak performance."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch.nn import functional as F

from ddsweep.numerics import Choice, Precision

LONG = {"cpu": 0.25, "cuda": 0.1}  # seconds per candidate
SIDES = {"cpu": (1024, 2048), "cuda": (4096, 8192)}


def describe(device: str) -> dict[str, str | int]:
    """Return the machine and the versions."""
    found: dict[str, str | int] = {
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.system(),
    }
    if device.startswith("cuda"):
        found |= {"cuda": str(torch.version.cuda), "cudnn": torch.backends.cudnn.version() or 0}
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    features = {word for line in lines if line.startswith("flags") for word in line.split()}
    units = [name for name in ("avx512f", "avx512_bf16", "amx_bf16") if name in features]
    return f"{named or platform.machine()} ({', '.join(units) or 'no avx512'})"


def synchronize(device: str) -> None:
    """Wait until the device has finished its queued work."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def now(device: str, busy: bool = False) -> float:
    """Return wall-clock seconds, once the device has finished its queued work.

    With ``busy``, return this process's CPU time divided by the number of threads: on a CPU with other load, this is
    the time that the work takes without it. It is only accurate with one thread: two threads seem to busy-wait for each
    other inside oneDNN, regardless of OMP_WAIT_POLICY, and a backward convolution in bf16 then took up to ten times as
    much.
    """
    synchronize(device)
    return time.process_time() / torch.get_num_threads() if busy else time.perf_counter()


def set_up(precision: str, device: str) -> None:
    """Set the precision of float32 operations for the rest of the process."""
    Choice(cast(Precision, precision), device).set_up()


def peak(precision: str, device: str, quick: bool = False, busy: bool = False) -> float:
    """Return operations per second: the best of square matrix products and of the convolutions of a ConvNet-3.

    This is measured rather than taken from a data sheet: it is what the libraries reach on this machine under ideal
    conditions, and what a step that consists only of convolutions could reach.
    """
    set_up(precision, device)
    kind = device.partition(":")[0]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    candidates: list[tuple[float, Callable[[], object]]] = []
    for side in (128,) if quick else SIDES.get(kind, SIDES["cpu"]):
        a, b = (torch.ones(side, side, dtype=dtype, device=device) for _ in range(2))
        candidates.append((2.0 * side**3, partial(torch.matmul, a, b)))
    for n, side in ((8, 8),) if quick else ((256, 16), (256, 32)):
        for form in (torch.contiguous_format, torch.channels_last):
            x = torch.ones(n, 128, side, side, dtype=dtype, device=device).to(memory_format=form)
            kernel = torch.ones(128, 128, 3, 3, dtype=dtype, device=device).to(memory_format=form)
            work = 2.0 * n * side**2 * 128 * 128 * 9
            candidates.append((work, partial(F.conv2d, x, kernel, padding=1)))
    seconds = 0.0 if quick else LONG.get(kind, LONG["cpu"])
    with torch.no_grad():
        return max(work / _best(run, partial(now, device, busy), seconds) for work, run in candidates)


def _best(run: Callable[[], object], clock: Callable[[], float], seconds: float) -> float:
    run()
    best, began = float("inf"), clock()
    start = began
    while True:
        run()
        end = clock()
        best, start = min(best, end - start), end
        if end - began >= seconds:
            return best
