"""Where a step spends its time, before and after: torch's profiler over a few steps of each loop."""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch
from torch.profiler import ProfilerActivity
from torch.profiler import profile as recorded

from benchmarks import machine
from benchmarks.steps import Work, fast, plainly
from ddsweep.numerics import Numerics

STEPS, SHOWN = 2, 8
WARM = 2


def of(work: Work, numerics: Numerics) -> str:
    """Return the most expensive operators of both loops, with their share of the time."""
    torch.compiler.reset()
    machine.set_up("float32", work.device)
    loop = plainly(work)
    for _ in islice(loop, WARM):
        pass
    with recorded(activities=_activities(work)) as before:
        for _ in islice(loop, STEPS):
            pass
    machine.set_up(numerics.precision, work.device)
    after, passed = recorded(activities=_activities(work)), 0

    def boundary() -> bool:
        nonlocal passed
        passed += 1
        if passed == WARM:
            machine.synchronize(work.device)
            after.start()
        if passed == WARM + STEPS:
            machine.synchronize(work.device)
            after.stop()
        return passed == WARM + STEPS

    with torch._inductor.config.patch({"cpp.enable_kernel_profile": True}):  # show compiled kernels by name
        fast(work, numerics, boundary)
    how = f"{numerics.precision}, {'compiled' if numerics.compile else 'not compiled'}"
    return f"{work.method}, plain\n{_shares(before, work)}\n{work.method}, {how}\n{_shares(after, work)}\n"


def _activities(work: Work) -> list[ProfilerActivity]:
    cuda = [ProfilerActivity.CUDA] if work.device.startswith("cuda") else []
    return [ProfilerActivity.CPU, *cuda]


def _shares(found: Any, work: Work) -> str:
    name = "self_device_time_total" if work.device.startswith("cuda") else "self_cpu_time_total"
    events = [(getattr(event, name), event.key, event.count) for event in found.key_averages()]
    total = sum(time for time, _, _ in events) or 1.0
    lines = [
        f"  {time / total:5.0%}  {time / 1e3 / STEPS:9.2f} ms a step  {count // STEPS:5d} ×  {key[:80]}"
        for time, key, count in sorted(events, reverse=True)[:SHOWN]
    ]
    return "\n".join([f"  {total / 1e3 / STEPS:.1f} ms a step in all", *lines])
