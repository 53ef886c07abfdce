"""The gain from caching features for CCLoM: seconds per step without and with the cache, on the same drawn images.

And that from sharing them: seconds for the features of all images, computed by one cell and read by another.

``python -m benchmarks.cclom_cache [--json] [--steps N] [--width W]``. Runs on the CPU, with the bundled digits guided
by a ConvNet-3 trained on shapes. The two variants alternate at every step, on one thread, so that other load affects
both equally. Their losses are compared, so that both times measure the same function.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from ddsweep import data, nn, rng
from ddsweep.data import Dataset
from ddsweep.distill.guidance.clom import cclom
from ddsweep.distill.sets.pixels import initial
from ddsweep.distill.synthetic import Synthetic
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.shared.budget import Budget
from ddsweep.shared.sharing import Sharing

BATCH, IPC = 512, 5  # as in the demo profile


def measure(steps: int, width: int) -> dict[str, float]:
    """Median seconds of one CCLoM term with its gradient, when recomputing the real features and when caching them."""
    digits = data.load("digits")
    net = nn.build("convnet3", channels=3, size=16, width=width, generator=rng.generator(0, "net"))
    model = PretrainedModel("convnet3", net.requires_grad_(False).eval(), InputTransform(3))
    synthetic = initial(digits, IPC, "real", rng.generator(0, "images"))
    draws = torch.randint(len(digits.labels), (steps, BATCH), generator=rng.generator(0, "ptm"))
    kinds, difference = (_again, _known), 0.0
    seconds: tuple[list[float], list[float]] = ([], [])
    for chosen in draws:
        losses = []
        for kind, taken in zip(kinds, seconds, strict=True):
            began = time.perf_counter()
            loss = kind(model, synthetic, digits, chosen)
            torch.autograd.grad(loss, synthetic.images)
            taken.append(time.perf_counter() - began)
            losses.append(float(loss.detach()))
        difference = max(difference, abs(losses[0] - losses[1]) / losses[0])
    again, known = (statistics.median(taken) for taken in seconds)
    return {
        "steps": steps, "width": width, "batch": BATCH, "images": len(digits.labels), "looking_again_s": again,
        "remembering_s": known, "ratio": again / known, "ratio_of_totals": sum(seconds[0]) / sum(seconds[1]),
        "difference": difference,
    }  # fmt: skip


def shared(width: int, turns: int = 5) -> dict[str, float]:
    """Median seconds for the features of all images: alone, as the first cell that shares, and as another one."""
    digits = data.load("digits")
    net = nn.build("convnet3", channels=3, size=16, width=width, generator=rng.generator(0, "net"))
    every = torch.arange(len(digits.labels))
    seconds: tuple[list[float], ...] = ([], [], [])
    for _ in range(turns + 1):  # the first is a warm-up
        with tempfile.TemporaryDirectory() as folder:
            found = []
            for taken, budget in zip(seconds, (Budget(), Budget(1 << 30), Budget(1 << 30)), strict=True):
                model = PretrainedModel("convnet3", net.requires_grad_(False).eval(), InputTransform(3))
                with closing(Sharing({}, torch.device("cpu"), budget, folder=Path(folder))) as sharing:
                    Pool([[model]]).share(sharing)
                    began = time.perf_counter()
                    found.append(model.features(digits, every))
                    taken.append(time.perf_counter() - began)
            assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    alone, first, another = (statistics.median(taken[1:]) for taken in seconds)
    return {"alone_s": alone, "first_s": first, "another_s": another, "shared_ratio": alone / another}


def _again(model: PretrainedModel, synthetic: Synthetic, digits: Dataset, chosen: Tensor) -> Tensor:
    with torch.no_grad():
        real = model.embed(digits.images[chosen])
    return cclom(model.embed(synthetic.images), synthetic.labels, real, digits.labels[chosen])


def _known(model: PretrainedModel, synthetic: Synthetic, digits: Dataset, chosen: Tensor) -> Tensor:
    real = model.features(digits, chosen)
    return cclom(model.embed(synthetic.images), synthetic.labels, real, digits.labels[chosen])


def main() -> None:
    """Run the benchmark and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--steps", type=int, default=50, help="steps of each variant")
    parser.add_argument("--width", type=int, default=32, help="channels of the ConvNet-3")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(asked.steps, asked.width) | shared(asked.width)
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    print(f"CCLoM term with gradient, {BATCH} of {found['images']} real images, ConvNet-3 of width {asked.width}")
    print(f"recomputed     {1e3 * found['looking_again_s']:8.2f} ms")
    print(f"cached         {1e3 * found['remembering_s']:8.2f} ms")
    print(f"ratio          {found['ratio']:8.1f}      (of medians; of the total over {asked.steps} steps, the first of")
    print(f"                             which compute every image once: {found['ratio_of_totals']:.1f})")
    print(f"difference     {found['difference']:8.0e}      (largest relative difference of the two losses of a step)")
    alone, first, another = (1e3 * found[f"{who}_s"] for who in ("alone", "first", "another"))
    print(f"all features   {alone:8.2f} ms   computed alone, {first:.2f} by the first cell that shares")
    print(f"               {another:8.2f} ms   read by another cell, {found['shared_ratio']:.0f} times as fast")


if __name__ == "__main__":
    main()
