"""torch, driver, GPUs, cores, compiler: judged from facts of other machines."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ddsweep.doctor import State, torch
from ddsweep.doctor.torch import Machine, Torch
from tests.doctor.test_check import PLACE

GPU = {"name": "NVIDIA H100", "total": 80e9, "free": 79e9, "error": ""}
TORCH = Torch("2.9.0", "CUDA 12.8", "0.24.0", [GPU], threads=8, compiler="/usr/bin/g++")
MACHINE = Machine(TORCH, "550.54", "12.4", 1, cores=8)


def gpu(machine: Machine, **changes: Any) -> tuple[State, str]:
    (found,) = torch.gpus(replace(machine, torch=replace(machine.torch, **changes)))
    assert bool(found.fix) == (found.state is not State.OK)
    return found.state, found.message


def test_a_gpu_that_works() -> None:
    assert gpu(MACHINE) == (State.OK, "NVIDIA H100, 79 GB of 80 GB free")


def test_a_gpu_that_somebody_uses() -> None:
    state, said = gpu(MACHINE, gpus=[GPU | {"free": 3e9}])
    assert (state, "in use by other processes" in said) == (State.WARNING, True)


def test_a_gpu_that_runs_no_kernel() -> None:
    reason = "no kernel image is available for execution on the device"
    assert gpu(MACHINE, gpus=[GPU | {"error": reason}]) == (State.ERROR, f"NVIDIA H100: {reason}")


@pytest.mark.parametrize("variable", ["", "-1"])
def test_gpus_that_are_hidden(variable: str) -> None:
    state, said = gpu(replace(MACHINE, visible=variable), gpus=[])
    assert state is State.WARNING
    assert said.startswith(f"CUDA_VISIBLE_DEVICES={variable} hides every GPU (1 installed)")
    assert gpu(replace(MACHINE, visible=variable, listed=0), gpus=[])[0] is State.WARNING


def test_a_cpu_build_on_a_machine_with_gpus() -> None:
    state, said = gpu(MACHINE, gpus=[], built_for="CPU")
    assert (state, "built for the CPU" in said) == (State.WARNING, True)


def test_a_driver_that_is_too_old() -> None:
    state, said = gpu(replace(MACHINE, cuda="11.4"), gpus=[])
    assert state is State.ERROR
    assert "supports CUDA up to 11.4; torch is built for 12.8" in said


def test_a_driver_of_the_same_major_version_is_not_to_blame() -> None:
    state, said = gpu(replace(MACHINE, cuda="12.1"), gpus=[])
    assert state is State.ERROR
    assert "supports CUDA up to" not in said


def test_a_machine_without_a_gpu_needs_no_fix() -> None:
    for built in ("CPU", "CUDA 12.8"):
        assert gpu(replace(MACHINE, listed=0, driver="", cuda=""), gpus=[], built_for=built)[0] is State.OK


def test_torch_that_cannot_be_used() -> None:
    machine = Machine(Torch(error="OSError: libcudart.so.12: cannot open shared object file"))
    (found,) = torch.torch(machine)
    assert (found.state, "libcudart" in found.message) == (State.ERROR, True)
    assert torch.gpus(machine) == torch.compiler(machine) == []


def test_a_torchvision_of_another_torch() -> None:
    machine = replace(MACHINE, torch=replace(TORCH, vision="error: operator torchvision::nms does not exist"))
    (found,) = torch.torch(machine)
    assert found.state is State.ERROR
    assert "torchvision::nms does not exist" in found.message


def test_threads() -> None:
    assert torch.threads(MACHINE)[0].message == "8 cores, 8 threads"
    (container,) = torch.threads(replace(MACHINE, quota=2.0))
    assert (container.state, container.fix) == (State.WARNING, "start ddsweep with: taskset -c 0-1")
    assert torch.threads(replace(MACHINE, quota=8.0))[0].state is State.OK
    assert torch.threads(replace(MACHINE, omp="32"))[0].state is State.WARNING


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.cfs_quota_us": "400000\n", "cpu.cfs_period_us": "100000\n"}, 4.0),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_quota_of_a_container(tmp_path: Path, written: dict[str, str], expected: float | None) -> None:
    for name, text in written.items():
        (tmp_path / name).write_text(text)
    assert torch.quota([tmp_path / "elsewhere", tmp_path]) == expected


@pytest.mark.parametrize(("bf16", "said"), [
    (("amx_bf16", "avx512_bf16"), "float32 with AVX-512, bf16 with amx_bf16"),
    ((), "float32 with AVX-512; the CPU has no instructions for bf16, which is refused on it"),
    (None, "float32; whether the CPU has instructions for bf16 is unknown"),
])  # fmt: skip
def test_instructions(bf16: tuple[str, ...] | None, said: str) -> None:
    (found,) = torch.instructions(replace(MACHINE, vectors="AVX-512", bf16=bf16))
    assert (found.state, found.message) == (State.OK, said)


def test_compiler() -> None:
    assert torch.compiler(MACHINE)[0].message == "/usr/bin/g++"
    none, bare = (torch.compiler(replace(MACHINE, torch=replace(TORCH, **change)))[0]
                  for change in ({"compiler": ""}, {"headers": False}))  # fmt: skip
    assert (none.state, "apt install g++" in none.fix) == (State.WARNING, True)
    assert (bare.state, "Python.h" in bare.message) == (State.WARNING, True)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("", "importing it crashes the process (status -11)"),
        ('some library prints\n{"error": "ImportError: no torch"}\n', "ImportError: no torch"),
    ],
)
def test_a_torch_that_crashes_its_process(monkeypatch: pytest.MonkeyPatch, answer: str, error: str) -> None:
    done = subprocess.CompletedProcess([], -11, answer, "")
    monkeypatch.setattr(torch.subprocess, "run", lambda *words, **options: done)
    monkeypatch.setattr(torch.shutil, "which", lambda name: None)
    assert torch.inspect(PLACE).torch.error == error


def test_what_the_driver_says(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = "| NVIDIA-SMI 550.54.15    Driver Version: 550.54.15      CUDA Version: 12.4     |\n"
    listing = "GPU 0: NVIDIA H100 (UUID: GPU-1234)\n"

    def run(words: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        said = {1: screen, 2: listing}.get(len(words), '{"version": "2.9.0"}')
        return subprocess.CompletedProcess(words, 0, said, "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(torch.shutil, "which", lambda name: f"/usr/bin/{name}")
    seen = torch.inspect(PLACE)
    assert (seen.driver, seen.cuda, seen.listed, seen.torch.version) == ("550.54.15", "12.4", 1, "2.9.0")
