"""Every way of computing a matching loss agrees, step by step, with the published loop, written plainly."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from benchmarks import plain
from ddsweep import nn
from ddsweep.data import Dataset
from ddsweep.distill.matching import Matching, as_match
from ddsweep.distill.methods import distribution_matching, gradient_matching
from ddsweep.distill.methods.distribution_matching import DistributionMatching
from ddsweep.distill.methods.gradient_matching import GradientMatching
from ddsweep.numerics import Numerics
from ddsweep.rng import Streams
from tests import toys

ROOT = Path(__file__).parent.parent.parent
STRATEGY = "color_crop_cutout_flip_scale_rotate"
STEPS = 6  # with a fresh network each, so that every operation of the strategy is likely to be drawn
METHODS = {"dm": STRATEGY, "dc": "none", "dsa": STRATEGY}


def noise() -> Dataset:
    """Three classes of 16×16 pixels, the last of which has fewer images than a batch."""
    whole = toys.dataset(per_class=9, size=16, dtype=torch.float32)
    kept = (whole.labels < 2) | (torch.arange(len(whole.labels)) < 12)
    return replace(whole, images=whole.images[kept], labels=whole.labels[kept])


def fast(method: str, net: nn.Network, numerics: Numerics) -> Matching:
    if method == "dm":
        return DistributionMatching(net, distribution_matching.Settings(6, METHODS[method]), numerics)
    return GradientMatching(net, gradient_matching.Settings(6, METHODS[method], outer_loops=1), numerics)


def slow(method: str) -> Callable[..., tuple[float, Tensor]]:
    return plain.match_features if method == "dm" else plain.match_gradients


def largest_differences(method: str, arch: str, numerics: Numerics) -> tuple[float, float, float]:
    """Over some steps: of the loss, relative to it; of the gradient, relative to its largest entry; of its direction,
    as one minus the cosine.
    """
    dataset = noise()
    net = nn.build(arch, channels=3, classes=3, size=16, width=8, generator=torch.Generator().manual_seed(1))
    synthetic = toys.synthetic(size=16, dtype=torch.float32)
    matching, ours, theirs = fast(method, net, numerics), Streams(3), Streams(3)
    losses, gradients, turns = [], [], []
    for step in range(STEPS):
        nn.initialize(net, torch.Generator().manual_seed(step))
        net.train()
        (match,) = matching.episode(synthetic, dataset, ours)
        loss = as_match(match).loss
        (gradient,) = torch.autograd.grad(loss, [synthetic.images])
        nn.initialize(net, torch.Generator().manual_seed(step))
        net.requires_grad_(True)
        expected, direction = slow(method)(net, synthetic, dataset, theirs, 6, METHODS[method])
        losses.append(abs(loss.item() - expected) / abs(expected))
        gradients.append(float((gradient - direction).abs().max() / direction.abs().max()))
        turns.append(1 - float(cosine_similarity(gradient.flatten(), direction.flatten(), dim=0)))
    return max(losses), max(gradients), max(turns)


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
@pytest.mark.parametrize("arch", ["convnet3", "alexnet"])
@pytest.mark.parametrize("method", METHODS)
def test_float32_agrees_to_rounding(method: str, arch: str, together: bool) -> None:
    loss, gradient, _ = largest_differences(method, arch, Numerics(vectorize=together))
    assert loss < 1e-5
    assert gradient < 1e-3  # second-order gradients of rows that are nearly zero are ill-conditioned


@pytest.mark.parametrize("method", METHODS)
def test_passes_of_a_few_images_agree_to_rounding(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    toys.bound_passes(monkeypatch, 4, size=16)
    loss, gradient, _ = largest_differences(method, "convnet3", Numerics())
    assert loss < 1e-5
    assert gradient < 1e-3


@pytest.mark.slow  # compiling takes a minute
@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
@pytest.mark.parametrize("method", METHODS)
def test_compiled_float32_agrees_to_rounding(method: str, together: bool) -> None:
    """In a process of its own: here the shape checks of the tests stand in every function, and they do not compile."""
    call = f"largest_differences({method!r}, 'convnet3', Numerics(compile=True, vectorize={together}))"
    code = f"from tests.distill.test_agreement import *; import json; print(json.dumps({call}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loss, gradient, _ = json.loads(done.stdout)
    assert loss < 1e-5
    assert gradient < 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_bf16_points_the_same_way(method: str) -> None:
    _, gradient, turn = largest_differences(method, "convnet3", Numerics("bf16"))
    assert gradient > 1e-5, "nothing was rounded"
    assert turn < 0.05
