"""torch and the hardware it uses: build, driver, GPUs, CPU cores, compiler."""

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

from ddsweep import device, precision, text
from ddsweep.doctor.check import Finding, Place, error, ok, warning
from ddsweep.launchers import plan

SECONDS = 50.0  # importing torch from a cold network disk takes most of a minute
GPU_WHEELS = "install torch for your driver's CUDA: https://pytorch.org/get-started/locally"


@dataclass(frozen=True)
class Torch:
    """The report of ``probe``; only ``error`` is set if torch cannot be used."""

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
    """Facts about the hardware and torch.

    Attributes:
        torch: the report of ``probe``.
        driver: version of the NVIDIA driver; empty: none, or it does not answer.
        cuda: the newest CUDA version that the driver supports; empty: unknown.
        listed: number of GPUs (or MIG instances) that the driver lists.
        visible: CUDA_VISIBLE_DEVICES; None: not set.
        cores: number of CPU cores that this process may use.
        quota: CPU limit of the container, in cores; None: no limit.
        omp: OMP_NUM_THREADS; empty: not set.
        vectors: the widest vector instructions, such as ``AVX2``.
        bf16: the instructions for bf16 (``precision.bf16``); None: unknown.
    """

    torch: Torch
    driver: str = ""
    cuda: str = ""
    listed: int = 0
    visible: str | None = None
    cores: int = 1
    quota: float | None = None
    omp: str = ""
    vectors: str = "unknown"
    bf16: tuple[str, ...] | None = None


def inspect(place: Place) -> Machine:
    """Ask torch, in a separate process, and the driver."""
    output = _nvidia_smi()
    driver, cuda = (re.search(rf"{name}[^:|]*Version:\s*([\d.]+)", output) for name in ("Driver", "CUDA"))
    return Machine(
        _torch(),
        driver[1] if driver else "",
        cuda[1] if cuda else "",
        len(device.listed()),
        os.environ.get(device.VISIBLE),
        plan.cores(),
        quota(),
        os.environ.get("OMP_NUM_THREADS", ""),
        precision.vectors(),
        precision.bf16(),
    )


def torch(facts: Machine) -> list[Finding]:
    """Whether torch and torchvision work, and work together."""
    build = facts.torch
    if build.error:
        return [error("torch", build.error, "pip install --force-reinstall torch torchvision")]
    if build.vision.startswith("error: "):
        message = f"{build.version}; torchvision does not work with it: {build.vision.removeprefix('error: ')}"
        return [error("torch", message, "pip install --upgrade --force-reinstall torch torchvision")]
    return [ok("torch", f"{build.version} for {build.built_for}, torchvision {build.vision}")]


def gpus(facts: Machine) -> list[Finding]:
    """Which GPUs agents can use, and why they cannot use the others."""
    if facts.torch.error:
        return []
    if facts.torch.gpus:
        return [_gpu(index, gpu) for index, gpu in enumerate(facts.torch.gpus)]
    if facts.torch.apple:
        return [ok("GPU", "Apple GPU (mps), for one agent")]
    hidden = facts.visible is not None and facts.visible.strip() in ("", "-1", "NoDevFiles")
    if hidden and (facts.listed or facts.torch.built_for != "CPU"):
        count = f" ({facts.listed} installed)" if facts.listed else ""
        message = f"{device.VISIBLE}={facts.visible} hides every GPU{count}: agents use the CPU"
        return [warning("GPU", message, f"unset {device.VISIBLE}")]
    if not facts.listed:
        driver = f"driver {facts.driver}, no GPU" if facts.driver else "no NVIDIA driver"
        return [ok("GPU", f"none ({driver}): agents use the CPU")]
    return [_unused(facts)]


def threads(facts: Machine) -> list[Finding]:
    """Whether the number of threads matches the number of cores."""
    cores = text.plural(facts.cores, "core")
    if facts.quota is not None and facts.quota < facts.cores * 0.75:
        message = f"{cores}, of which the container may use {facts.quota:.3g}: too many threads would share them"
        return [warning("CPU", message, f"start ddsweep with: taskset -c 0-{max(1, round(facts.quota)) - 1}")]
    if facts.omp.isdecimal() and int(facts.omp) > facts.cores:
        message = f"OMP_NUM_THREADS={facts.omp} for {cores}: the threads of one agent wait for each other"
        return [warning("CPU", message, "unset OMP_NUM_THREADS: agents divide the cores among themselves")]
    threads = f", {text.plural(facts.torch.threads, 'thread')}" if facts.torch.threads else ""
    return [ok("CPU", f"{cores}{threads}")]


def instructions(facts: Machine) -> list[Finding]:
    """What the CPU can compute at speed."""
    if facts.bf16 is None:
        return [ok("precision", "float32; whether the CPU has instructions for bf16 is unknown")]
    if facts.bf16:
        return [ok("precision", f"float32 with {facts.vectors}, bf16 with {facts.bf16[0]}")]
    message = f"float32 with {facts.vectors}; the CPU has no instructions for bf16, which is refused on it"
    return [ok("precision", message)]


def compiler(facts: Machine) -> list[Finding]:
    """What ``--compile`` needs; without it everything runs, some of it in twice the time."""
    if facts.torch.error:
        return []
    if not facts.torch.compiler:
        message = "none: --compile auto compiles nothing, --compile on is an error"
        return [warning("compiler", message, "install g++ (Debian: apt install g++)")]
    if not facts.torch.headers:
        message = f"{facts.torch.compiler}, but Python.h, which compiled steps include, is missing"
        fix = "install Python's headers (Debian: apt install python3-dev), or --compile off"
        return [warning("compiler", message, fix)]
    return [ok("compiler", facts.torch.compiler)]


def quota(places: Iterable[Path] = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/cpu"))) -> float | None:
    """The CPU limit of this container's control group, in cores; None: no limit."""
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


def _gpu(index: int, gpu: dict[str, Any]) -> Finding:
    name = f"GPU {index}"
    if gpu["error"]:
        return error(name, f"{gpu['name']}: {gpu['error']}", f"exclude it with --gpus, or {GPU_WHEELS}")
    memory = f"{gpu['name']}, {text.data_size(gpu['free'])} of {text.data_size(gpu['total'])} free"
    if gpu["free"] < gpu["total"] / 4:
        fix = "nvidia-smi shows which processes; exclude it with --gpus"
        return warning(name, f"{memory}: in use by other processes", fix)
    return ok(name, memory)


def _unused(facts: Machine) -> Finding:
    """The machine has GPUs, but torch uses none of them."""
    build, installed = facts.torch, f"{facts.listed} installed (driver {facts.driver or 'unknown'})"
    if build.built_for == "CPU":
        return warning("GPU", f"{installed}, but torch {build.version} is built for the CPU", GPU_WHEELS)
    needed, supported = build.built_for.removeprefix("CUDA "), facts.cuda
    # within a major version any driver runs any toolkit; across major versions none does
    if supported and needed[:1].isdecimal() and int(needed.split(".")[0]) > int(supported.split(".")[0]):
        message = f"{installed}, which supports CUDA up to {supported}; torch is built for {needed}"
        return error("GPU", message, f"update the driver, or {GPU_WHEELS}")
    if facts.visible is not None:
        message = f"{installed}, but {device.VISIBLE}={facts.visible} selects none of them"
        return warning("GPU", message, f"unset {device.VISIBLE}")
    message = f"{installed}, but torch (built for {build.built_for}) cannot use any of them"
    fix = 'python -c "import torch; torch.zeros(1).cuda()" shows why; often the driver needs a reboot'
    return error("GPU", message, fix)


def _torch() -> Torch:
    command = [sys.executable, "-m", "ddsweep.doctor.probe"]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return Torch(error=f"cannot be imported within {SECONDS:g} s, or its GPU does not respond")
    try:
        return Torch(**json.loads(done.stdout.strip().splitlines()[-1]))
    except (ValueError, IndexError, TypeError):
        return Torch(error=f"importing it crashes the process (status {done.returncode})")


def _nvidia_smi() -> str:
    if shutil.which("nvidia-smi") is None:
        return ""
    try:
        done = subprocess.run(
            ["nvidia-smi"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=device.LIST_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
