"""The way of a GPU: classes and networks as one batch, in float64 the numbers of a CPU's way, and nobody waits.

On the CPU the same code runs; with the marker ``gpu`` it runs where it belongs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ddsweep import nn, rng
from ddsweep.data import Dataset
from ddsweep.distill.guidance.clom import clom
from ddsweep.distill.matching import Matching, as_match
from ddsweep.distill.methods import distribution_matching, gradient_matching
from ddsweep.distill.methods.distribution_matching import DistributionMatching
from ddsweep.distill.methods.gradient_matching import GradientMatching
from ddsweep.distill.synthetic import Synthetic
from ddsweep.evaluate import Rule
from ddsweep.evaluate.trainer import Trainer
from ddsweep.numerics import Numerics
from ddsweep.pretrained.pool import PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.registry.datasets import FULL_STRATEGY
from ddsweep.rng import Streams
from tests import toys

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
METHODS = {"dm": FULL_STRATEGY, "dc": "none", "dsa": FULL_STRATEGY}


def dataset(device: str) -> Dataset:
    one = toys.dataset(classes=4)
    there = {name: getattr(one, name).to(device) for name in ("images", "labels", "test_images", "test_labels")}
    return replace(one, **there)


def synthetic(device: str) -> Synthetic:
    one = toys.synthetic(classes=4)
    return Synthetic(one.images.detach().to(device).requires_grad_(), one.labels.to(device), one.ipc)


def network(device: str, index: int = 0) -> nn.Network:
    shape = {"channels": 3, "classes": 4, "size": 8, "width": 8}
    return nn.build("convnet2", **shape, generator=rng.generator(index, "net")).double().to(device)


def matching(method: str, device: str, vectorize: bool) -> Matching:
    numerics, net = Numerics(device=device, vectorize=vectorize), network(device)
    if method == "dm":
        return DistributionMatching(net, distribution_matching.Settings(5, METHODS[method]), numerics)
    settings = gradient_matching.Settings(5, METHODS[method], outer_loops=3, inner_epochs=2, batch_train=5)
    return GradientMatching(net, settings, numerics)


@contextmanager
def nobody_waits(device: str) -> Iterator[None]:
    """On a GPU, an error where the host would wait for it."""
    if device == "cpu":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def steps(method: str, device: str, vectorize: bool) -> tuple[list[Tensor], Tensor]:
    """Losses of two episodes, and where the images go."""
    data, ours, one, streams = dataset(device), synthetic(device), matching(method, device, vectorize), Streams(3)
    images, losses = ours.images, []
    _ = data.per_class  # known before the first step
    for number in range(2):
        with nobody_waits(device if number else "cpu"):  # kernels are loaded and chosen in the first
            for match in one.episode(ours, data, streams):
                loss = as_match(match).loss
                (gradient,) = torch.autograd.grad(loss, [images])
                with torch.no_grad():
                    images -= 0.1 * gradient
                losses.append(loss.detach())
    return [loss.cpu() for loss in losses], images.detach().cpu()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", METHODS)
def test_steps_are_those_of_the_cpu(method: str, device: str) -> None:
    losses, images = steps(method, device, vectorize=True)
    expected, there = steps(method, "cpu", vectorize=False)
    assert len(losses) == (2 if method == "dm" else 6)
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(images, there, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("device", DEVICES)
def test_networks_trained_together_are_those_of_the_cpu(device: str) -> None:
    def weights(where: str, vectorize: bool) -> list[Tensor]:
        trainer = Trainer(synthetic(where), dataset(where), Rule(epochs=4, batch=3, strategy=FULL_STRATEGY))
        nets, generators = [network(where, n) for n in range(3)], [rng.generator(n, "evaluation") for n in range(3)]
        if vectorize:
            trainer.train(nets, generators)
        else:
            for net, generator in zip(nets, generators, strict=True):
                Trainer(synthetic(where), dataset(where), trainer.rule).train([net], [generator])
        return [value.cpu() for net in nets for value in net.state_dict().values()]

    torch.testing.assert_close(weights(device, True), weights("cpu", False), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("device", DEVICES)
def test_guidance_is_that_of_the_whole_set_on_the_cpu(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    toys.bound_passes(monkeypatch, 3)  # eight images, of which a CPU takes three at once
    here, ours = synthetic("cpu"), synthetic(device)
    model = PretrainedModel("convnet2", network(device).requires_grad_(False).eval(), InputTransform(3))
    (slope,) = torch.autograd.grad(clom(model, ours.images, ours.labels), [ours.images])
    (expected,) = torch.autograd.grad(cross_entropy(network("cpu")(here.images), here.labels), [here.images])
    torch.testing.assert_close(slope.cpu(), expected, rtol=1e-9, atol=1e-12)
