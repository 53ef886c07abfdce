"""torch and what it computes on: the build, the driver, the GPUs, the cores, the compiler."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ddsweep import device
from ddsweep.doctor.check import Finding, Place, broken, ok, warning
from ddsweep.launchers import plan

SECONDS = 50.0  # importing torch from a cold network disk takes most of a minute
GPU_WHEELS = "install torch for your driver's CUDA: https://pytorch.org/get-started/locally"


@dataclass(frozen=True)
class Torch:
    """What ``probe`` found; ``error`` alone where torch cannot be used."""

    version: str = ""
    built_for: str = "CPU"
    vision: str = ""
    gpus: list[dict[str, Any]] = field(default_factory=list)
    apple: bool = False
    threads: int = 0
    compiler: str = ""
    headers: bool = True
    error: str = ""


@dataclass(frozen=True)
class Machine:
    """The machine, and what torch makes of it.

    Attributes:
        torch: see there.
        driver: of NVIDIA; empty: none, or it does not answer.
        cuda: the newest CUDA that the driver runs; empty: unknown.
        listed: how many GPUs (or MIG instances) the driver has.
        visible: CUDA_VISIBLE_DEVICES; None: not set.
        cores: that this process may use.
        quota: cores' worth of time that its container may use; None: no limit.
        omp: OMP_NUM_THREADS; empty: not set.
    """

    torch: Torch
    driver: str = ""
    cuda: str = ""
    listed: int = 0
    visible: str | None = None
    cores: int = 1
    quota: float | None = None
    omp: str = ""


def look(place: Place) -> Machine:
    """Ask torch in a process of its own, and the driver."""
    said = _nvidia_smi()
    driver, cuda = (re.search(rf"{name}[^:|]*Version:\s*([\d.]+)", said) for name in ("Driver", "CUDA"))
    return Machine(
        _torch(), driver[1] if driver else "", cuda[1] if cuda else "", len(device.listed()),
        os.environ.get(device.VISIBLE), plan.cores(), quota(), os.environ.get("OMP_NUM_THREADS", ""),
    )  # fmt: skip


def torch(facts: Machine) -> list[Finding]:
    """Whether torch and torchvision can be used, and fit."""
    one = facts.torch
    if one.error:
        return [broken("torch", one.error, "pip install --force-reinstall torch torchvision")]
    if one.vision.startswith("error: "):
        said = f"{one.version}, and torchvision does not work with it: {one.vision.removeprefix('error: ')}"
        return [broken("torch", said, "pip install --upgrade --force-reinstall torch torchvision")]
    return [ok("torch", f"{one.version} for {one.built_for}, torchvision {one.vision}")]


def gpus(facts: Machine) -> list[Finding]:
    """Which GPUs agents would get, and why not those that are there."""
    if facts.torch.error:
        return []
    if facts.torch.gpus:
        return [_gpu(index, one) for index, one in enumerate(facts.torch.gpus)]
    if facts.torch.apple:
        return [ok("GPU", "Apple's: one agent uses it (mps)")]
    hidden = facts.visible is not None and facts.visible.strip() in ("", "-1", "NoDevFiles")
    if hidden and (facts.listed or facts.torch.built_for != "CPU"):
        here = f" ({facts.listed} here)" if facts.listed else ""
        said = f"{device.VISIBLE}={facts.visible} hides every GPU{here}: agents work on the CPU"
        return [warning("GPU", said, f"unset {device.VISIBLE}")]
    if not facts.listed:
        driver = f"driver {facts.driver}, no GPU" if facts.driver else "no NVIDIA driver"
        return [ok("GPU", f"none ({driver}): agents work on the CPU")]
    return [_unused(facts)]


def threads(facts: Machine) -> list[Finding]:
    """Whether as many threads compute as there are cores."""
    cores = f"{facts.cores} core{'s' * (facts.cores != 1)}"
    if facts.quota is not None and facts.quota < facts.cores * 0.75:
        said = f"{cores} to be seen, and the container may use {facts.quota:.3g} of them: too many threads would share"
        return [warning("CPU", said, f"taskset -c 0-{max(1, round(facts.quota)) - 1} ddsweep launch …")]
    if facts.omp.isdecimal() and int(facts.omp) > facts.cores:
        said = f"OMP_NUM_THREADS={facts.omp}, and {cores}: the threads of one agent wait for each other"
        return [warning("CPU", said, "unset OMP_NUM_THREADS: agents share out the cores by themselves")]
    threads = f", {facts.torch.threads} threads" if facts.torch.threads else ""
    return [ok("CPU", f"{cores}{threads}")]


def compiler(facts: Machine) -> list[Finding]:
    """What ``--compile`` needs; without it everything runs, some of it in twice the time."""
    if facts.torch.error:
        return []
    if not facts.torch.compiler:
        said = "none: --compile auto compiles nothing, on is refused"
        return [warning("compiler", said, "install g++ (Debian: apt install g++)")]
    if not facts.torch.headers:
        said = f"{facts.torch.compiler}, but Python.h is missing, which compiled steps include"
        return [
            warning("compiler", said, "install Python's headers (Debian: apt install python3-dev), or --compile off")
        ]
    return [ok("compiler", facts.torch.compiler)]


def quota(places: Iterable[Path] = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/cpu"))) -> float | None:
    """Cores' worth of time that the control group of this container may use; None: as much as there is."""
    for folder in places:
        try:
            if (path := folder / "cpu.max").is_file():
                limit, period = path.read_text().split()
            else:
                limit, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        except (OSError, ValueError):
            continue
        return int(limit) / int(period) if limit.isdecimal() and int(period) else None
    return None


def _gpu(index: int, one: dict[str, Any]) -> Finding:
    name = f"GPU {index}"
    if one["error"]:
        cure = f"leave it out with --gpus, or {GPU_WHEELS}"
        return broken(name, f"{one['name']}: {one['error']}", cure)
    memory = f"{one['name']}, {one['free'] / 1e9:.3g} of {one['total'] / 1e9:.3g} GB free"
    if one["free"] < one["total"] / 4:
        return warning(name, f"{memory}: somebody else is on it", "nvidia-smi says who; leave it out with --gpus")
    return ok(name, memory)


def _unused(facts: Machine) -> Finding:
    """There are GPUs, and torch uses none of them."""
    one, here = facts.torch, f"{facts.listed} here (driver {facts.driver or 'unknown'})"
    if one.built_for == "CPU":
        return warning("GPU", f"{here}, and torch {one.version} is built for the CPU", GPU_WHEELS)
    wants, runs = one.built_for.removeprefix("CUDA "), facts.cuda
    # within a major version any driver runs any toolkit; across major versions none does
    if runs and wants[:1].isdecimal() and int(wants.split(".")[0]) > int(runs.split(".")[0]):
        said = f"{here}, which runs CUDA {runs} at most; torch is built for {wants}"
        return broken("GPU", said, f"update the driver, or {GPU_WHEELS}")
    if facts.visible is not None:
        said = f"{here}, and {device.VISIBLE}={facts.visible} names none of them"
        return warning("GPU", said, f"unset {device.VISIBLE}")
    said = f"{here}, and torch (built for {one.built_for}) can use none of them"
    return broken(
        "GPU", said, 'python -c "import torch; torch.zeros(1).cuda()" says why; often the driver needs a reboot'
    )


def _torch() -> Torch:
    command = [sys.executable, "-m", "ddsweep.doctor.probe"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return Torch(error=f"cannot be imported within {SECONDS:g} s, or its GPU does not answer")
    try:
        return Torch(**json.loads(done.stdout.strip().splitlines()[-1]))
    except (ValueError, IndexError, TypeError):
        return Torch(error=f"importing it ends the process (status {done.returncode})")


def _nvidia_smi() -> str:
    if shutil.which("nvidia-smi") is None:
        return ""
    try:
        done = subprocess.run(["nvidia-smi"], capture_output=True, text=True, check=False, timeout=device.LIST_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
