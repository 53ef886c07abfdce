"""The machine that is measured on: what it is, and the most operations a second that were seen on it."""

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

LONG = {"cpu": 0.25, "cuda": 0.1}  # seconds for each candidate
SIDES = {"cpu": (1024, 2048), "cuda": (4096, 8192)}


def describe(device: str) -> dict[str, str | int]:
    """Machine and versions."""
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


def synchronise(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def now(device: str, busy: bool = False) -> float:
    """Seconds by the clock on the wall, once the device has done what it was given.

    Busy: by this process's processor time, a part for each thread: on a CPU that others use too, what the work takes
    without them. Only with one thread is that right: two seem to wait for each other awake inside oneDNN, whatever
    OMP_WAIT_POLICY says, and a backward convolution in bf16 then counted up to ten times.
    """
    synchronise(device)
    return time.process_time() / torch.get_num_threads() if busy else time.perf_counter()


def set_up(precision: str, device: str) -> None:
    """What float32 means from here on, where ``Choice`` has a say in it."""
    Choice(cast(Precision, precision), device).set_up()


def peak(precision: str, device: str, quick: bool = False, busy: bool = False) -> float:
    """Operations a second: the best of square matrix products and of convolutions as they are in a ConvNet-3.

    Measured, not read in a data sheet: this is what the libraries reach on this machine when nothing else is in the
    way, and what a step that is nothing but convolutions could reach.
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
