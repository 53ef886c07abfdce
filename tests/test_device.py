"""Which GPUs a user means, on a machine that has none: what torch, the driver and the environment say is injected."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ddsweep import device
from ddsweep.device import Slot
from ddsweep.errors import UserError

A, B = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "GPU-5d5ba0a6-0000-4106-c12f-20bd9faed9f6"
M1, M2 = "MIG-63feeb45-94c6-5f1c-8a50-8c4c4a9a2d2e", "MIG-b52f9dd8-94c6-5f1c-8a50-8c4c4a9a2d2e"
LISTING = f"GPU 0: NVIDIA A100 (UUID: {A})\nGPU 1: NVIDIA A100 (UUID: {B})\n"
DIVIDED = LISTING + f"  MIG 3g.40gb     Device  0: (UUID: {M1})\n  MIG 3g.40gb     Device  1: (UUID: {M2})\n"
Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """``machine(4)``: torch counts four GPUs; ``visible`` is CUDA_VISIBLE_DEVICES, ``listing`` nvidia-smi's answer."""

    def make(count: int, visible: str | None = None, listing: str = "") -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: count > 0)
        monkeypatch.setattr("torch.cuda.device_count", lambda: count)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{listing}END\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)

    return make


def chosen(wanted: str) -> list[tuple[str, str]]:
    """(name for people, CUDA_VISIBLE_DEVICES) of each slot; inside, it is always ``cuda:0``."""
    slots = device.gpus(wanted)
    assert {slot.device for slot in slots} == {"cuda:0"}
    assert [slot.environment for slot in slots] == [{"CUDA_VISIBLE_DEVICES": slot.gpu} for slot in slots]
    return [(str(slot), slot.gpu) for slot in slots]


def test_numbers_and_ranges(machine: Machine) -> None:
    machine(4)
    assert chosen("0,2") == [("gpu 0", "0"), ("gpu 2", "2")]
    assert chosen("1-3") == [("gpu 1", "1"), ("gpu 2", "2"), ("gpu 3", "3")]
    assert chosen("3, 0-1") == [("gpu 3", "3"), ("gpu 0", "0"), ("gpu 1", "1")]
    assert [name for name, _ in chosen("all")] == ["gpu 0", "gpu 1", "gpu 2", "gpu 3"]


def test_numbers_count_what_is_visible(machine: Machine) -> None:
    machine(2, visible="4,7")
    assert chosen("all") == [("gpu 0", "4"), ("gpu 1", "7")]
    assert chosen("1") == [("gpu 1", "7")]
    assert device.gpus("1")[0].local == "cuda:1"
    machine(2, visible=f"{B},{A}")
    assert chosen("0") == [("gpu 0", B)]
    machine(1, visible="4,99")  # CUDA stops at what does not exist
    assert chosen("all") == [("gpu 0", "4")]


def test_names(machine: Machine) -> None:
    machine(2, listing=LISTING)
    assert chosen(B) == [(B[:12], B)]
    assert chosen("GPU-89") == [(A[:12], A)]
    with pytest.raises(UserError, match="GPU- matches 2 GPUs; write more of the UUID"):
        device.gpus("GPU-")
    machine(2, visible=f"{B},{A}")
    assert chosen(A) == [(A[:12], A)]


def test_the_instances_of_a_divided_gpu_each_count(machine: Machine) -> None:
    """torch counts one, since a process can use only one: every agent is a process."""
    machine(1, listing=DIVIDED)
    assert chosen("all") == [("gpu 0", A), ("gpu 1", M1), ("gpu 2", M2)]
    assert chosen(M2) == [(M2[:12], M2)]
    machine(1, visible=f"{M1},{M2}", listing=DIVIDED)
    assert chosen("all") == [("gpu 0", M1), ("gpu 1", M2)]
    assert {slot.local for slot in device.gpus("all")} == {"cuda:0"}


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ("7", "gpus: this machine has no GPU 7; available: 0, 1"),
        ("0-2", "gpus: this machine has no GPU 2; available: 0, 1"),
        ("GPU-ffff", f"gpus: this machine has no GPU GPU-ffff; available: 0 ({A}), 1 ({B})"),
        ("1-0", "gpus: the range '1-0' is reversed; write 0-1"),
        ("0,0", "gpus: gpu 0 is listed twice; to run several agents on one GPU, use --per-gpu"),
        ("cuda:1", "gpus: unknown GPU 'cuda:1'; choose all, numbers (0,2 or 0-3), or GPU-… and MIG-… UUIDs"),
        ("", "gpus: unknown GPU ''; choose all, numbers (0,2 or 0-3), or GPU-… and MIG-… UUIDs"),
        ("-1", "gpus: unknown GPU '-1'; choose all, numbers (0,2 or 0-3), or GPU-… and MIG-… UUIDs"),
    ],
)
def test_what_is_not_there(machine: Machine, wanted: str, line: str) -> None:
    machine(2, listing=LISTING)
    with pytest.raises(UserError) as caught:
        device.gpus(wanted)
    assert str(caught.value) == line


def test_a_name_that_exists_but_was_hidden(machine: Machine) -> None:
    machine(1, visible="1", listing=LISTING)
    with pytest.raises(UserError, match=r"GPU-89 is not in CUDA_VISIBLE_DEVICES; choose by number"):
        device.gpus("GPU-89")


@pytest.mark.parametrize("visible", [None, ""])
def test_no_gpu_at_all(machine: Machine, visible: str | None) -> None:
    machine(0, visible)
    with pytest.raises(UserError, match="this machine has no GPU that PyTorch can use"):
        device.gpus("all")


def test_a_slot_on_the_cpu_leaves_the_environment_alone() -> None:
    assert (str(Slot("cpu")), Slot("cpu").environment) == ("cpu", {})
    assert device.identity("cpu") == "cpu"


def test_the_memory_of_a_gpu_and_of_a_machine_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda one: SimpleNamespace(total_memory=len(one)))
    assert device.memory("cuda:11") == 7
    assert 2**28 < device.memory() == device.memory("mps") < 2**50

    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert device.memory() == 2**62
