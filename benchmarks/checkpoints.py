"""The cost of checkpoints: seconds per save at the paper's sizes, and per boundary at which nothing is saved.

``python -m benchmarks.checkpoints [--json] [--device cuda:0] [--folder PATH] [--saves N]``. A save includes copying
from the device, and ends when the file is on disk (fsync). The share is relative to the time between two saves, five
minutes by default. The images are noise, which costs as much to write as any other data.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ddsweep import nn, rng
from ddsweep.checkpoints import Checkpoints, FileSlot, State, of_training
from ddsweep.data import Dataset
from ddsweep.distill.loop import initial_state
from ddsweep.numerics import Numerics
from ddsweep.recipe import make
from ddsweep.trackers import Tracker

PER_CLASS = 50  # real images in the stand-in for CIFAR-10: enough for the initial synthetic images


def distillation(device: str) -> State:
    """State during an iteration of DSA with a ConvNet-3 on CIFAR-10 at ipc 50: images, momentum, network."""
    recipe = make({"target": "cifar10", "method": "dsa", "ipc": 50, "alpha": 0.0})
    images = torch.randn(10 * PER_CLASS, 3, 32, 32, generator=rng.generator(0, "images")).to(device)
    labels = torch.arange(10, device=device).repeat_interleave(PER_CLASS)
    names = tuple(f"class {label}" for label in range(10))
    data = Dataset("cifar10", names, (0.0,) * 3, (1.0,) * 3, images, labels, images, labels, checksum="noise")
    state = initial_state(recipe, data, rng.Streams(0), Tracker(), {"numerics": Numerics()})
    for parameter in state.learned.parameters().values():
        parameter.grad = torch.randn_like(parameter)
    state.optimizer.step()
    state.metrics.add(torch.zeros((), device=device))
    state.step = 1
    return state.checkpoint()


def training(arch: str, device: str) -> State:
    """A network and its momentum, as in PTM training and in the evaluation."""
    generator = rng.generator(0, "net")
    net = nn.build(arch, channels=3, classes=10, size=32, generator=generator).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    net(torch.zeros(2, 3, 32, 32, device=device)).sum().backward()
    optimizer.step()
    return State(of_training(net, optimizer, generator), {"done": 1, "best": None})


CASES: dict[str, Callable[[str], State]] = {
    "distil, ConvNet-3, CIFAR-10, IPC 50": distillation,
    "train a ConvNet-3": lambda device: training("convnet3", device),
    "train a ResNet-18": lambda device: training("resnet18", device),
}


def measure(state: State, saves: int, folder: Path) -> dict[str, float]:
    """Seconds per save (median and maximum), its size in bytes, and seconds per boundary without a save."""
    slot = FileSlot(folder / "one.safetensors", {"key": "0123", "data": "noise"}, Checkpoints())
    taken = []
    for _ in range(saves):
        began = time.perf_counter()
        slot.save(state)
        taken.append(time.perf_counter() - began)
    began, boundaries = time.perf_counter(), 10_000
    for _ in range(boundaries):
        slot.offer(lambda: state)
    passed = (time.perf_counter() - began) / boundaries
    median, every = statistics.median(taken), Checkpoints.every
    return {
        "bytes": slot.path.stat().st_size, "save_s": median, "longest_s": max(taken), "boundary_s": passed,
        "share": median / every, "longest_share": max(taken) / every,
    }  # fmt: skip


def main() -> None:
    """Run the benchmark and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--device", default="cpu", help="device of the tensors")
    parser.add_argument("--folder", type=Path, help="folder on the disk to measure; default: the temporary folder")
    parser.add_argument("--saves", type=int, default=15, help="saves of each state")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        found = {name: measure(state(asked.device), asked.saves, Path(place)) for name, state in CASES.items()}
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'':38}{'MB':>8}{'save ms':>9}{'longest':>9}{'of 300 s':>10}{'boundary µs':>13}")
    for name, one in found.items():
        times = f"{1e3 * one['save_s']:9.1f}{1e3 * one['longest_s']:9.1f}{one['share']:10.4%}"
        print(f"{name:38}{one['bytes'] / 1e6:8.1f}{times}{1e6 * one['boundary_s']:13.2f}")


if __name__ == "__main__":
    main()
