"""The average pool of ``nn.layers`` compared with torch's, alone and in a network, on a CPU.

``python -m benchmarks.pool [--width 32,128] [--rounds 15]``. One thread, not compiled. Each round measures both, in
random order; the ratio is the median of the rounds' ratios of CPU time. *Second order* is the gradient to the images of
the squared gradient, as in DC. ``benchmarks.speed --compile on`` measures compiled steps.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch import nn as layers
from torch.nn import functional as F

from benchmarks import machine
from benchmarks.turns import orders
from ddsweep import nn, rng
from ddsweep.nn.layers import AveragePool

Run = Callable[[], object]


def with_the_pool_of_torch(net: layers.Module) -> layers.Module:
    """Return a copy of a module in which torch's layer pools."""
    net = copy.deepcopy(net)
    for part in list(net.modules()):
        for name, child in part.named_children():
            if isinstance(child, AveragePool):
                setattr(part, name, layers.AvgPool2d(child.side))
    return net


def runs(net: layers.Module, images: Tensor) -> dict[str, Run]:
    """Return what is measured, by name."""
    parameters = list(net.parameters())
    labels = torch.arange(len(images)) % 10

    @torch.no_grad()
    def forward() -> Tensor:
        output: Tensor = net(images)
        return output

    def training() -> object:
        return torch.autograd.grad(F.cross_entropy(net(images), labels), parameters)

    def second(ours: Tensor = images[:10]) -> object:
        ours = ours.clone().requires_grad_()
        found = torch.autograd.grad(F.cross_entropy(net(ours), labels[:10]), parameters, create_graph=True)
        return torch.autograd.grad(torch.stack([one.square().sum() for one in found]).sum(), ours)

    return {"forward": forward, "training": training, "second order": second}


def alone(pool: layers.Module, maps: Tensor) -> dict[str, Run]:
    """Return the same for the pool itself."""
    leaf = maps.clone().requires_grad_()
    weights = torch.randn_like(pool(maps))

    @torch.no_grad()
    def forward() -> Tensor:
        output: Tensor = pool(maps)
        return output

    def training() -> object:
        return torch.autograd.grad(pool(leaf), leaf, weights)

    return {"forward": forward, "forward and backward": training}


def compared(theirs: dict[str, Run], ours: dict[str, Run], rounds: int) -> Iterator[str]:
    """Yield for each name the milliseconds of both, and the ratio."""
    for name in theirs:
        times: list[tuple[float, float]] = []
        for ours_first in [True, *orders(rounds)]:
            order = (ours, theirs) if ours_first else (theirs, ours)
            took = []
            for each in order:
                began = time.process_time()
                each[name]()
                took.append(time.process_time() - began)
            times.append((took[1], took[0]) if ours_first else (took[0], took[1]))
        slow, quick = (1e3 * statistics.median(column) for column in zip(*times[1:], strict=True))
        ratio = statistics.median(other / own for other, own in times[1:])
        yield f"{name} | {slow:.3g} | {quick:.3g} | {ratio:.2f}"


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", default="32,128", help="channels of the ConvNet-3")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(", ".join(f"{name} {value}" for name, value in machine.describe("cpu").items()))
    print("| 32 images of 32×32 | | torch ms | ddsweep ms | ratio |\n|---|---|---:|---:|---:|", flush=True)
    for width in map(int, asked.width.split(",")):
        maps = torch.randn(32, width, 32, 32, generator=rng.generator(0, "maps"))
        images = torch.randn(32, 3, 32, 32, generator=rng.generator(0, "images"))
        net = nn.build("convnet3", width=width, generator=rng.generator(0, "net"))
        pairs = {
            "pool of the first block": (alone(layers.AvgPool2d(2), maps), alone(AveragePool(2), maps)),
            "ConvNet-3": (runs(with_the_pool_of_torch(net), images), runs(net, images)),
        }
        for name, (theirs, ours) in pairs.items():
            for line in compared(theirs, ours, asked.rounds):
                print(f"| {name}, width {width} | {line} |", flush=True)


if __name__ == "__main__":
    main()
